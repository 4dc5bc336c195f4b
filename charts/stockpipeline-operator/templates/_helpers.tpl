{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: stockpipeline-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: stockpipeline
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Of what belongs to the cluster: another release may have the same name in another namespace. */}}
{{- define "operator.clusterName" -}}
{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end }}

{{/* The TCP ports that the operator connects to, as JSON: the API server's, the producers' for metrics, those of
its defaults, and others. */}}
{{- define "operator.ports" -}}
{{- $ports := list 443 6443 8080 }}
{{- range splitList "," .Values.defaults.kafka.bootstrapServers }}
{{- $ports = append $ports (splitList ":" . | last | int) }}
{{- end }}
{{- $redis := urlParse .Values.defaults.redis.url }}
{{- $ports = append $ports (contains ":" $redis.host | ternary (splitList ":" $redis.host | last) "6379" | int) }}
{{- with .Values.tracing.endpoint }}
{{- $host := (urlParse .).host }}
{{- $usual := hasPrefix "https:" . | ternary "443" "80" }}
{{- $ports = append $ports (contains ":" $host | ternary (splitList ":" $host | last) $usual | int) }}
{{- end }}
{{- range .Values.networkPolicy.egress.ports }}
{{- $ports = append $ports (int .) }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{/* What the operator may do with pipelines. Needed in the whole cluster: a Role goes with its namespace before
the pipelines in it, and their finalizers could then never be removed. */}}
{{- define "operator.pipelineRules" -}}
# The pipelines themselves; they are made and deleted by users.
- apiGroups: [stockpipeline.dev]
  resources: [stockpipelines]
  verbs: [get, list, watch, patch]
- apiGroups: [stockpipeline.dev]
  resources: [stockpipelines/status]
  verbs: [patch]
# For clusters that check who may set ownerReferences (OwnerReferencesPermissionEnforcement).
- apiGroups: [stockpipeline.dev]
  resources: [stockpipelines/finalizers]
  verbs: [update]
{{- end }}

{{/* What the operator may do with what it makes of a pipeline, in the pipeline's namespace. */}}
{{- define "operator.ownedRules" -}}
# What the pipeline's chart contains, and nothing else.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# The volume of the store; not watched.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create, patch, delete]
# For pipelines with a batch: Airflow gets these rights, and nobody may give what they do not have.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- if .Values.spark.image.tag }}
# As above: the drivers of Spark get these.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, watch, create, delete, deletecollection]
{{- end }}
# Only where scaling.detector.autoscaling asks for it, and the cluster has KEDA.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, create, patch, delete]
# Helm keeps releases in Secrets of the pipeline's namespace.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, create, update, delete]
# To say why a workload does not start, and to wait for the end of pods; always in one namespace, by label.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What a process may do that takes part in the election of the one that works. */}}
{{- define "operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ .Release.Name | quote }}]
  verbs: [get, patch]
{{- end }}

{{/* What the operator's program is told. */}}
{{- define "operator.environment" -}}
{{- $pullSecrets := list }}
{{- range .Values.services.imagePullSecrets }}
{{- $pullSecrets = append $pullSecrets .name }}
{{- end -}}
- {name: STOCKPIPELINE_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- with .Values.tracing }}
{{- if .endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .ratio | toString | quote }}}
{{- if .headers.name }}
- {name: OTEL_EXPORTER_OTLP_HEADERS, valueFrom: {secretKeyRef: {{ toJson .headers }}}}
{{- end }}
{{- end }}
{{- end }}
- {name: STOCKPIPELINE_OPERATOR_CHART, value: /opt/stockpipeline/charts/stockpipeline}
- {name: STOCKPIPELINE_OPERATOR_SERVICES_REPOSITORY, value: {{ .Values.services.image.repository | quote }}}
- {name: STOCKPIPELINE_OPERATOR_SERVICES_TAG, value: {{ .Values.services.image.tag | quote }}}
- {name: STOCKPIPELINE_OPERATOR_SERVICES_PULL_POLICY, value: {{ .Values.services.image.pullPolicy | quote }}}
- {name: STOCKPIPELINE_OPERATOR_SERVICES_PULL_SECRETS, value: {{ join "," $pullSecrets | quote }}}
- {name: STOCKPIPELINE_OPERATOR_SERVICES_RESOURCES, value: {{ toJson .Values.services.resources | quote }}}
- {name: STOCKPIPELINE_OPERATOR_KAFKA_BOOTSTRAP_SERVERS, value: {{ .Values.defaults.kafka.bootstrapServers | quote }}}
- {name: STOCKPIPELINE_OPERATOR_REDIS_URL, value: {{ .Values.defaults.redis.url | quote }}}
- {name: STOCKPIPELINE_OPERATOR_AIRFLOW_ACCOUNT, value: {{ printf "%s/%s" .Values.defaults.airflow.account.namespace .Values.defaults.airflow.account.name | quote }}}
{{- with .Values.spark.image }}
- {name: STOCKPIPELINE_OPERATOR_SPARK_IMAGE, value: {{ ternary (printf "%s:%s" .repository .tag) "" (not (empty .tag)) | quote }}}
{{- end }}
- {name: STOCKPIPELINE_OPERATOR_LEASE, value: "{{ .Release.Namespace }}/{{ .Release.Name }}"}
- {name: STOCKPIPELINE_OPERATOR_NAMESPACES, value: {{ join "," .Values.watchNamespaces | quote }}}
- {name: STOCKPIPELINE_OPERATOR_WORKERS, value: {{ .Values.workers | quote }}}
- {name: STOCKPIPELINE_OPERATOR_RESYNC_SECONDS, value: {{ .Values.resyncSeconds | quote }}}
- {name: STOCKPIPELINE_OPERATOR_DELETION_DEADLINE_SECONDS, value: {{ .Values.deletionDeadlineSeconds | quote }}}
# Helm keeps what it learns of the API in a cache below it.
- {name: HOME, value: /tmp}
{{- end }}

{{- define "operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Annotations of what is made when all else of the release is gone, and removed again; takes the place in the
order in which it is made. */}}
{{- define "operator.afterwards" -}}
helm.sh/hook: post-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
