"""What every long-running service needs: logs, metrics, health, a small HTTP server and an orderly end."""
