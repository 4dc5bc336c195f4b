{{/* What selects the pipeline's pods; the component is added where it is used. */}}
{{- define "stockpipeline.selectorLabels" -}}
app.kubernetes.io/name: stockpipeline
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of pods: none that changes with the chart's version, or a new chart would restart them. */}}
{{- define "stockpipeline.podLabels" -}}
{{ include "stockpipeline.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: stockpipeline
stockpipeline.dev/pipeline: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of all other objects. */}}
{{- define "stockpipeline.labels" -}}
{{ include "stockpipeline.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Kubernetes deletes the objects when the resource is gone, even if no operator runs any more. */}}
{{- define "stockpipeline.ownerReferences" -}}
- apiVersion: stockpipeline.dev/v1alpha1
  kind: StockPipeline
  name: {{ .Values.owner.name | quote }}
  uid: {{ .Values.owner.uid | quote }}
  controller: true
  blockOwnerDeletion: false
{{- end }}

{{/* OpenTelemetry's variables as a list in JSON, but for those that the component has in its own env. */}}
{{- define "stockpipeline.tracing" -}}
{{- $own := list }}
{{- range .settings.env }}{{ $own = append $own .name }}{{ end }}
{{- $wanted := list }}
{{- with .root.Values.tracing }}
{{- if .endpoint }}
{{- $all := dict "OTEL_EXPORTER_OTLP_ENDPOINT" .endpoint "OTEL_TRACES_SAMPLER" "parentbased_traceidratio" "OTEL_TRACES_SAMPLER_ARG" (toString .ratio) }}
{{- range $name, $value := $all }}
{{- if not (has $name $own) }}{{ $wanted = append $wanted (dict "name" $name "value" $value) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $wanted }}
{{- end }}

{{/* A container of the services' image; takes a dict of root, settings (of the component), name, args, and optionally
mounts, variables (of the environment) and envFrom. */}}
{{- define "stockpipeline.container" -}}
{{- $usual := printf "%s:%s" .root.Values.image.repository .root.Values.image.tag -}}
name: {{ .name }}
image: {{ .settings.image | default $usual | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .args }}
# What a container said last before it failed: the operator puts it into the pipeline's status.
terminationMessagePolicy: FallbackToLogsOnError
env:
  - name: STOCKPIPELINE_LOG_LEVEL
    value: {{ .root.Values.logLevel }}
  {{- range include "stockpipeline.tracing" . | fromJsonArray }}
  - {{ toJson . }}
  {{- end }}
  {{- range .variables }}
  - {{ toJson . }}
  {{- end }}
  {{- range .settings.env }}
  - {{ toJson . }}
  {{- end }}
{{- with .envFrom }}
envFrom: {{ toJson . }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: config, mountPath: /etc/stockpipeline, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- range .mounts }}
  - {{ toJson . }}
  {{- end }}
{{- end }}

{{/* The container's port and probes; the services answer on 8080. */}}
{{- define "stockpipeline.serving" -}}
ports:
  - {name: metrics, containerPort: 8080}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 2
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* A Deployment of one component; takes a dict of root, component, args, replicas (none: an autoscaler owns
the number), strategy, and optionally init, after (the components that it needs, separated by spaces: the operator
names the one that keeps it waiting), what the container has besides (mounts, also of init; variables, envFrom), and what the pod has:
config (the text that it reads), volumes, scheduling (fields of its spec) and beside (one more container). */}}
{{- define "stockpipeline.deployment" -}}
{{- $root := .root -}}
{{- $settings := index $root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $root.Release.Name }}-{{ .component }}
  labels:
    {{- include "stockpipeline.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  {{- with .after }}
  annotations:
    stockpipeline.dev/after: {{ . | quote }}
  {{- end }}
  ownerReferences:
    {{- include "stockpipeline.ownerReferences" $root | nindent 4 }}
spec:
  {{- /* Without a number, an autoscaler owns the field. */}}
  {{- if or $root.Values.suspend (not (kindIs "invalid" .replicas)) }}
  replicas: {{ ternary 0 .replicas $root.Values.suspend }}
  {{- end }}
  revisionHistoryLimit: 2
  progressDeadlineSeconds: {{ $root.Values.progressDeadlineSeconds }}
  strategy: {{ toJson .strategy }}
  selector:
    matchLabels:
      {{- include "stockpipeline.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- include "stockpipeline.podLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
      annotations:
        # The services read their configuration once: a change of it makes new pods.
        checksum/config: {{ .config | default $root.Values.config | sha256sum }}
        prometheus.io/scrape: "true"
    spec:
      serviceAccountName: {{ $root.Release.Name | quote }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        {{- if .volumes }}
        # Or the kubelet would look at each file of a volume whenever a pod starts.
        fsGroupChangePolicy: OnRootMismatch
        {{- end }}
        seccompProfile: {type: RuntimeDefault}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{ toJson . }}
      {{- end }}
      {{- with $settings.nodeSelector }}
      nodeSelector: {{ toJson . }}
      {{- end }}
      {{- with $settings.tolerations }}
      tolerations: {{ toJson . }}
      {{- end }}
      {{- with .scheduling }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with .init }}
      initContainers:
        - {{ include "stockpipeline.container" (dict "root" $root "settings" $settings "name" .name "args" .args "mounts" $.mounts) | nindent 10 | trim }}
          resources: {{ toJson $settings.resources }}
      {{- end }}
      containers:
        - {{ include "stockpipeline.container" (dict "root" $root "settings" $settings "name" .component "args" .args "mounts" .mounts "variables" .variables "envFrom" .envFrom) | nindent 10 | trim }}
          {{- include "stockpipeline.serving" $root | nindent 10 }}
          resources: {{ toJson $settings.resources }}
        {{- with .beside }}
        - {{ . | nindent 10 | trim }}
        {{- end }}
      volumes:
        - name: config
          configMap: {name: {{ $root.Release.Name }}-config}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- range .volumes }}
        - {{ toJson . }}
        {{- end }}
{{- end }}
