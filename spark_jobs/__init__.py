"""What runs on Spark, in an environment of its own (requirements/spark.txt), never the services'."""
