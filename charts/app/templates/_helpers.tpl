{{/* The name of every object: the release's, which is the app's. */}}
{{- define "app.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What the Deployment and the Service select by: never changes for an app, since a selector is immutable. */}}
{{- define "app.selector" -}}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/component: service-app
{{- end -}}

{{- define "app.labels" -}}
{{ include "app.selector" . }}
app.kubernetes.io/part-of: {{ .Values.org | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- with .Values.release }}
havn/release: {{ . | trimPrefix "sha256:" | trunc 32 | quote }}
{{- end }}
{{- end -}}

{{/* The Secret with the app's certificate; empty: plain HTTP. */}}
{{- define "app.certificate" -}}
{{- if .Values.tls.certManager.issuer -}}{{ include "app.name" . }}-tls{{- else -}}{{ .Values.tls.existingSecret }}{{- end -}}
{{- end -}}

{{/* The Secret with what is believed; cert-manager puts its authority beside the certificate. */}}
{{- define "app.authority" -}}
{{- .Values.tls.authoritySecret | default (ternary (include "app.certificate" .) "" (ne .Values.tls.certManager.issuer "")) -}}
{{- end -}}

{{/* Where probes and the Service speak to the app: TLS when it has a certificate. */}}
{{- define "app.scheme" -}}
{{- if include "app.certificate" . -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}
