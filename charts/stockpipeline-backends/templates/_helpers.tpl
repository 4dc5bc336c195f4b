{{/* Labels that select the pods of a component: (dict "root" $ "name" "kafka"). */}}
{{- define "backends.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* Labels of a component's pods. Not the chart's version: a new one alone restarts nothing. */}}
{{- define "backends.podLabels" -}}
{{ include "backends.selector" . }}
app.kubernetes.io/component: {{ .name }}
app.kubernetes.io/part-of: stockpipeline
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels of all other objects of a component. */}}
{{- define "backends.labels" -}}
{{ include "backends.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The image and its pull policy: (dict "root" $ "image" .Values.kafka.image). */}}
{{- define "backends.image" -}}
image: {{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
{{- end }}

{{/* What every pod has: (dict "root" $ "account" "kafka"). */}}
{{- define "backends.pod" -}}
serviceAccountName: {{ .account }}
# Environment variables for each Service would only get in the way of programs' own settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end }}

{{/* What every container has. */}}
{{- define "backends.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A claim for a server's data: (dict "root" $ "name" "kafka" "storage" .Values.kafka.storage).
     Only labels that never change: a claim template cannot be updated. */}}
{{- define "backends.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  labels: {{- include "backends.selector" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storage.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ .storage.size }}}}
{{- end }}
