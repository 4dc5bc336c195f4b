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
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, update, delete]
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
