{{/* What the chart knows and a shared file cannot say: the pod's name among its like, where files are. */}}
{{- define "trunkline.env" -}}
- name: TRUNKLINE__REPLICA
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
{{- if and (gt (int .Values.replicaCount) 1) (not (include "trunkline.queued" .)) }}
{{- range $index := until (int .Values.replicaCount) }}
- name: TRUNKLINE__REPLICAS__{{ $index }}
  value: {{ $index | quote }}
{{- end }}
{{- end }}
- name: TRUNKLINE__ADMIN__LISTEN
  value: 0.0.0.0:9464
{{- if not (include "trunkline.queued" .) }}
{{- range $index := until (int .Values.credentials.genesys.clientsPerReplica) }}
- name: TRUNKLINE__GENESYS__CLIENTS__{{ $index }}__ID_FILE
  value: /run/trunkline/genesys/$(TRUNKLINE__REPLICA)/{{ $index }}/client-id
- name: TRUNKLINE__GENESYS__CLIENTS__{{ $index }}__SECRET_FILE
  value: /run/trunkline/genesys/$(TRUNKLINE__REPLICA)/{{ $index }}/client-secret
{{- end }}
{{- end }}
{{- if .Values.credentials.kafka.existingSecret }}
- name: TRUNKLINE__KAFKA__SASL_PASSWORD_FILE
  value: /run/trunkline/kafka/password
{{- end }}
{{- if .Values.credentials.schemaRegistry.existingSecret }}
- name: TRUNKLINE__SCHEMA_REGISTRY__{{ if .Values.config.schema_registry.username }}PASSWORD{{ else }}TOKEN{{ end }}_FILE
  value: /run/trunkline/schema-registry/password
{{- end }}
{{- if .Values.credentials.connect.existingSecret }}
- name: TRUNKLINE__STAGING__PASSWORD_FILE
  value: /run/trunkline/connect/password
{{- end }}
{{- if .Values.credentials.privacy.existingSecret }}
- name: TRUNKLINE__PRIVACY__HASH_KEY_FILE
  value: /run/trunkline/privacy/hash-key
{{- end }}
{{- if .Values.credentials.admin.existingSecret }}
- name: TRUNKLINE__ADMIN__TOKEN_FILE
  value: /run/trunkline/admin/token
{{- end }}
- name: TRUNKLINE__SPOOL__ENABLED
  value: {{ include "trunkline.spooled" . | eq "yes" | quote }}
{{- if include "trunkline.spooled" . }}
- name: TRUNKLINE__SPOOL__DIR
  value: /var/lib/trunkline/spool
- name: TRUNKLINE__SPOOL__MAX_BYTES
  value: {{ include "trunkline.spoolMaxBytes" . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trunkline.volumeMounts" -}}
- name: config
  mountPath: /etc/trunkline
  readOnly: true
{{- if not (include "trunkline.queued" .) }}
- name: genesys
  mountPath: /run/trunkline/genesys
  readOnly: true
{{- end }}
{{- if .Values.credentials.kafka.existingSecret }}
- name: kafka
  mountPath: /run/trunkline/kafka
  readOnly: true
{{- end }}
{{- if .Values.credentials.schemaRegistry.existingSecret }}
- name: schema-registry
  mountPath: /run/trunkline/schema-registry
  readOnly: true
{{- end }}
{{- if .Values.credentials.connect.existingSecret }}
- name: connect
  mountPath: /run/trunkline/connect
  readOnly: true
{{- end }}
{{- if .Values.credentials.privacy.existingSecret }}
- name: privacy
  mountPath: /run/trunkline/privacy
  readOnly: true
{{- end }}
{{- if .Values.credentials.admin.existingSecret }}
- name: admin
  mountPath: /run/trunkline/admin
  readOnly: true
{{- end }}
{{- if .Values.credentials.tls.existingSecret }}
- name: tls
  mountPath: /run/trunkline/tls
  readOnly: true
{{- end }}
{{- if include "trunkline.spooled" . }}
- name: spool
  mountPath: /var/lib/trunkline
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Every client is mapped, those of pods that do not exist yet too: another replica then rolls no pod.
     Secrets are mode 288, 0440 in octal: readable through fsGroup, by nobody else. */}}
{{- define "trunkline.volumes" -}}
{{- $genesys := .Values.credentials.genesys -}}
{{- $per := int $genesys.clientsPerReplica -}}
- name: config
  configMap:
    name: {{ .Values.existingConfigMap | default (include "trunkline.fullname" .) }}
{{- if not (include "trunkline.queued" .) }}
- name: genesys
  secret:
    secretName: {{ $genesys.existingSecret }}
    defaultMode: 288
    items:
      {{- range $index, $client := $genesys.clients }}
      - key: {{ $client.idKey }}
        path: {{ div $index $per }}/{{ mod $index $per }}/client-id
      - key: {{ $client.secretKey }}
        path: {{ div $index $per }}/{{ mod $index $per }}/client-secret
      {{- end }}
{{- end }}
{{- with .Values.credentials.kafka }}
{{- if .existingSecret }}
- name: kafka
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .passwordKey }}
        path: password
{{- end }}
{{- end }}
{{- with .Values.credentials.schemaRegistry }}
{{- if .existingSecret }}
- name: schema-registry
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .passwordKey }}
        path: password
{{- end }}
{{- end }}
{{- with .Values.credentials.connect }}
{{- if .existingSecret }}
- name: connect
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .passwordKey }}
        path: password
{{- end }}
{{- end }}
{{- with .Values.credentials.privacy }}
{{- if .existingSecret }}
- name: privacy
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .hashKeyKey }}
        path: hash-key
{{- end }}
{{- end }}
{{- with .Values.credentials.admin }}
{{- if .existingSecret }}
- name: admin
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .tokenKey }}
        path: token
{{- end }}
{{- end }}
{{- with .Values.credentials.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288
{{- end }}
{{- if include "trunkline.spooled" . }}
{{- if eq .Values.spool.volume "emptyDir" }}
- name: spool
  emptyDir:
    sizeLimit: {{ .Values.spool.size }}
{{- else if eq .Values.spool.volume "existingClaim" }}
- name: spool
  persistentVolumeClaim:
    claimName: {{ .Values.spool.existingClaim }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
