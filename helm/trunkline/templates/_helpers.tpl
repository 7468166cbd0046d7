{{- define "trunkline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters: the controller adds an ordinal, and a hash of ten to its label. */}}
{{- define "trunkline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "trunkline.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "trunkline.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Never change in a release's life: selectors and claims carry these alone. */}}
{{- define "trunkline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trunkline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trunkline.labels" -}}
{{- $own := include "trunkline.selectorLabels" . | fromYaml -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" (.Values.image.tag | default .Chart.AppVersion | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- toYaml (mergeOverwrite (dict) .Values.commonLabels $chart $own) -}}
{{- end -}}

{{- define "trunkline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trunkline.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "trunkline.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Says something when events are taken from a queue: no OAuth client, no spool, no replicas that know each other. */}}
{{- define "trunkline.queued" -}}
{{- if eq (toString (dig "genesys" "mode" "channels" .Values.config)) "eventbridge" -}}yes{{- end -}}
{{- end -}}

{{/* Says something when there is a spool. */}}
{{- define "trunkline.spooled" -}}
{{- if and .Values.spool.enabled (not (include "trunkline.queued" .)) -}}yes{{- end -}}
{{- end -}}

{{/* The options as trunkline reads them; an empty text means "not said". */}}
{{- define "trunkline.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $name, $section := $config -}}
{{- if kindIs "map" $section -}}
{{- range $key, $value := $section -}}
{{- if eq (toString $value) "" -}}{{- $_ := unset $section $key -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Bytes of a quantity such as 20Gi. */}}
{{- define "trunkline.bytes" -}}
{{- $units := dict "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $number := regexFind "^[0-9]+" . -}}
{{- mul (int64 $number) (get $units (trimPrefix $number .)) -}}
{{- end -}}

{{/* spool.max_bytes: what is left of the volume is for the file being written and the file system. */}}
{{- define "trunkline.spoolMaxBytes" -}}
{{- $size := include "trunkline.bytes" .Values.spool.size | int64 -}}
{{- $max := div (mul $size 4) 5 -}}
{{- if .Values.spool.maxBytes -}}{{- $max = include "trunkline.bytes" .Values.spool.maxBytes | int64 -}}{{- end -}}
{{- $max -}}
{{- end -}}
