{{/* What a schema cannot say, each with the path of the value. */}}
{{- define "trunkline.checks" -}}
{{- $v := .Values -}}
{{- $queued := include "trunkline.queued" . -}}
{{- $per := int $v.credentials.genesys.clientsPerReplica -}}
{{- $keys := len $v.credentials.genesys.clients -}}
{{- $wanted := mul (int $v.replicaCount) $per -}}
{{- if and (gt (int $wanted) $keys) (not $queued) -}}
{{- fail (printf "replicaCount: %d pods with %d OAuth client(s) each need %d; credentials.genesys.clients names %d: add idKey and secretKey of client %d (pod %d)" (int $v.replicaCount) $per (int $wanted) $keys $keys (div $keys $per)) -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $index, $client := $v.credentials.genesys.clients -}}
{{- if hasKey $seen $client.idKey -}}
{{- fail (printf "credentials.genesys.clients[%d].idKey: %s is the key of client %d already; each pod needs a client of its own" $index $client.idKey (get $seen $client.idKey)) -}}
{{- end -}}
{{- $_ := set $seen $client.idKey $index -}}
{{- end -}}
{{- if and (gt (int $v.replicaCount) 1) (not $v.spool.enabled) (not $queued) -}}
{{- fail "spool.enabled: is false; with several pods each holds on the disk what another one has to write" -}}
{{- end -}}
{{- if and (gt (int $v.replicaCount) 1) (eq (dig "genesys" "mode" "channels" $v.config) "direct") -}}
{{- fail "config.genesys.mode: is direct, which runs alone; replicaCount must be 1" -}}
{{- end -}}
{{- if and (include "trunkline.spooled" .) (eq $v.spool.volume "existingClaim") (gt (int $v.replicaCount) 1) -}}
{{- fail "spool.existingClaim: serves one pod; every process needs a folder of its own: spool.volume claimTemplate gives each a claim" -}}
{{- end -}}
{{- if include "trunkline.spooled" . -}}
{{- $size := include "trunkline.bytes" $v.spool.size | int64 -}}
{{- $max := include "trunkline.spoolMaxBytes" . | int64 -}}
{{- $segment := dig "spool" "segment_bytes" 67108864 $v.config | int64 -}}
{{- if and $v.spool.maxBytes (gt (add $max $segment) $size) -}}
{{- fail (printf "spool.maxBytes: is %s; with a file of %d bytes more it does not fit into spool.size %s" $v.spool.maxBytes $segment $v.spool.size) -}}
{{- end -}}
{{- if lt $max (mul 4 $segment) -}}
{{- fail (printf "spool.size: %s gives spool.max_bytes %d; trunkline wants four files of %d bytes or more" $v.spool.size $max $segment) -}}
{{- end -}}
{{- end -}}
{{- $least := add (dig "kafka" "flush_timeout_secs" 25 $v.config | int) 15 -}}
{{- if lt (int $v.terminationGracePeriodSeconds) (int $least) -}}
{{- fail (printf "terminationGracePeriodSeconds: is %d; config.kafka.flush_timeout_secs and what comes after it need %d" (int $v.terminationGracePeriodSeconds) $least) -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $v.existingConfigMap) -}}
{{- range $server := splitList "," $v.config.kafka.bootstrap_servers -}}
{{- $port := $server | trim | splitList ":" | last | int -}}
{{- if not (include "trunkline.hasPort" (dict "port" $port "ports" $v.networkPolicy.ports.kafka)) -}}
{{- fail (printf "networkPolicy.ports.kafka: lacks %d, the port of %s" $port (trim $server)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Says something when a list of numbers, floats since JSON knows no others, has this one. */}}
{{- define "trunkline.hasPort" -}}
{{- $port := .port -}}
{{- range .ports -}}{{- if eq (int .) $port -}}yes{{- end -}}{{- end -}}
{{- end -}}
