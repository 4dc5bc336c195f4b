{{/* A container of one of Airflow's programs, one that may reach the database of its metadata. */}}
{{- define "airflow.container" -}}
{{- $airflow := .Values.airflow -}}
{{- include "backends.image" (dict "root" $ "image" $airflow.image) }}
{{ include "backends.container" $ }}
env:
  - {name: HOME, value: /tmp}
  # Airflow asks for the user's name, which no user database here knows.
  - {name: USER, value: airflow}
  - {name: AIRFLOW_HOME, value: /var/lib/airflow}
  {{- with $airflow.database }}
  # One driver for both of Airflow's engines: what a URL asks for (sslmode) then means the same to both.
  {{- range list "SQL_ALCHEMY_CONN" "SQL_ALCHEMY_CONN_ASYNC" }}
  - name: AIRFLOW__DATABASE__{{ . }}
    valueFrom: {secretKeyRef: {{ toJson $airflow.database }}}
  {{- end }}
  {{- end }}
  {{- if $airflow.separate.enabled }}
  {{- range $name, $key := dict "API_AUTH__JWT_SECRET" "jwt-secret" "API__SECRET_KEY" "secret-key" "CORE__FERNET_KEY" "fernet-key" }}
  - name: AIRFLOW__{{ $name }}
    valueFrom: {secretKeyRef: {name: {{ $airflow.separate.secret }}, key: {{ $key }}}}
  {{- end }}
  - {name: AIRFLOW__CORE__EXECUTION_API_SERVER_URL, value: "http://airflow-api-server:8080/execution/"}
  - {name: AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS, value: "admin:admin,companion:user"}
  - {name: AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE, value: /run/airflow/passwords.json}
  {{- else }}
  - {name: AIRFLOW__API_AUTH__JWT_SECRET_CMD, value: cat /var/lib/airflow/jwt-secret}
  - {name: AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS, value: "true"}
  {{- end }}
  - {name: AIRFLOW__CORE__EXECUTOR, value: LocalExecutor}
  - {name: AIRFLOW__CORE__PARALLELISM, value: {{ $airflow.parallelism | quote }}}
  # How soon a new or changed pipeline is seen, and one that is gone.
  - {name: AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL, value: "10"}
  - {name: AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES, value: "1"}
  # Tasks of a scheduler that was killed begin again after this time, and go on with the Jobs that they find.
  - {name: AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT, value: "120"}
  # The API's first answer may take half a minute on a small machine.
  - {name: AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT, value: "60"}
  - {name: STOCKPIPELINE_BATCHES, value: /run/batches}
volumeMounts:
  - {name: data, mountPath: /var/lib/airflow}
  - {name: batches, mountPath: /run/batches}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Brings the pipelines before anybody looks for their DAGs, and answers the probes of the programs beside it. */}}
{{- define "airflow.companion" -}}
{{- $airflow := .Values.airflow -}}
name: companion
restartPolicy: Always
{{ include "backends.image" (dict "root" $ "image" $airflow.image) }}
{{ include "backends.container" $ }}
command: [python, -m, airflow_dags.companion]
env:
  - {name: STOCKPIPELINE_BATCHES, value: /run/batches}
  - {name: STOCKPIPELINE_NAMESPACES, value: {{ join "," $airflow.namespaces | quote }}}
  {{- if $airflow.separate.enabled }}
  - {name: STOCKPIPELINE_AIRFLOW_URL, value: "http://airflow-api-server:8080"}
  - {name: STOCKPIPELINE_AIRFLOW_USER, value: companion}
  - name: STOCKPIPELINE_AIRFLOW_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ $airflow.separate.secret }}, key: companion-password}}
  {{- else }}
  - {name: STOCKPIPELINE_AIRFLOW_URL, value: "http://127.0.0.1:8080"}
  {{- end }}
volumeMounts:
  - {name: batches, mountPath: /run/batches}
ports:
  - {name: metrics, containerPort: 8081}
startupProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 10
livenessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  requests: {cpu: 10m, memory: 48Mi}
  limits: {cpu: 500m, memory: 160Mi}
{{- end }}

{{/* The probes of a part of Airflow, which the companion answers. */}}
{{- define "airflow.probes" -}}
startupProbe:
  httpGet: {path: /healthz/{{ . }}, port: 8081}
  periodSeconds: 2
  timeoutSeconds: 10
  failureThreshold: 150
readinessProbe:
  httpGet: {path: /healthz/{{ . }}, port: 8081}
  periodSeconds: 10
  timeoutSeconds: 10
livenessProbe:
  httpGet: {path: /livez/{{ . }}, port: 8081}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{/* What the pods of all parts have beside `data`. */}}
{{- define "airflow.volumes" -}}
- name: batches
  emptyDir: {sizeLimit: 64Mi}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end }}
