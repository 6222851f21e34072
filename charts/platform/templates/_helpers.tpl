{{/* The name of a component's objects. The release stands in it, so that releases do without namespaces of their own. */}}
{{- define "platform.name" -}}
{{- $name := printf "%s-%s" .root.Release.Name .component -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "%s is longer than the 63 characters that a name may have: choose a shorter release name" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What a component's pods are selected by: never changes, since a selector is immutable. */}}
{{- define "platform.selector" -}}
app.kubernetes.io/name: havn-platform
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{- define "platform.labels" -}}
{{ include "platform.selector" . }}
app.kubernetes.io/part-of: {{ .root.Values.environment | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
{{- end -}}

{{/* The environment's domain without port, as hosts are matched. */}}
{{- define "platform.domain" -}}
{{- regexReplaceAll ":\\d+$" .Values.domain "" -}}
{{- end -}}

{{/* An API's values over the defaults, as YAML. */}}
{{- define "platform.api" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (.own | default dict))) -}}
{{- end -}}

{{- define "platform.secret" -}}
{{- .secret | default (include "platform.name" .) -}}
{{- end -}}

{{/* The Secret with a component's certificate. */}}
{{- define "platform.certificate" -}}
{{- include "platform.name" . }}-tls
{{- end -}}

{{/* The Secret with what a component believes; cert-manager puts its authority beside the certificate. */}}
{{- define "platform.authority" -}}
{{- $tls := .root.Values.tls -}}
{{- if $tls.authoritySecret -}}{{ $tls.authoritySecret }}
{{- else if $tls.certManager.issuer -}}{{ include "platform.certificate" . }}
{{- else -}}{{ .root.Release.Name }}-trust
{{- end -}}
{{- end -}}

{{/* How parts reach each other. */}}
{{- define "platform.scheme" -}}{{ ternary "https" "http" .Values.tls.enabled }}{{- end -}}
{{- define "platform.port" -}}{{ ternary 443 80 .Values.tls.enabled }}{{- end -}}

{{/* Where a route leads. */}}
{{- define "platform.backend" -}}
services:
  - name: {{ include "platform.name" . }}
    port: {{ include "platform.port" .root }}
    {{- if .root.Values.tls.enabled }}
    scheme: https
    serversTransport: {{ include "platform.name" . }}
    {{- end }}
{{- end -}}

{{/* Pods run as nobody in particular, with nothing that they do not need. */}}
{{- define "platform.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 3000
fsGroup: 3000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "platform.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "platform.image" -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- end -}}

{{- define "platform.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What every process of the environment is told. */}}
{{- define "platform.environment" -}}
- {name: HAVN_DOMAIN, value: {{ .Values.domain | quote }}}
- {name: HAVN_SCHEME, value: {{ .Values.scheme | quote }}}
- {name: HAVN_ENVIRONMENT, value: {{ .Values.environment | quote }}}
- {name: HAVN_ENVIRONMENT_TYPE, value: {{ .Values.environmentType | quote }}}
- {name: HAVN_PLATFORM_URL, value: {{ printf "%s://%s-{api}" (include "platform.scheme" .) .Release.Name | quote }}}
- {name: HAVN_SECRETS_DIR, value: /mnt/secrets}
{{- end -}}

{{/*
One component: ServiceAccount, Deployment, Service and PodDisruptionBudget.
  root, component, arguments, secret; own: replicas or autoscaling, resources, environmentVariables, podAnnotations,
  podLabels; extra: env, envFrom, mounts, volumes (YAML); ports: list of name and number; probe: paths and port;
  single: one pod and never two; private: its temporary files are secret; checksum: what its pods must be started anew for.
*/}}
{{- define "platform.component" -}}
{{- $ := .root }}
{{- $name := include "platform.name" . }}
{{- $own := .own }}
{{- $ports := .ports | default (list (dict "name" "http" "number" 8080)) }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "platform.labels" . | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "platform.labels" . | nindent 4 }}
spec:
  {{- if .single }}
  replicas: 1
  {{- else if not (dig "autoscaling" "enabled" false $own) }}
  replicas: {{ $own.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- include "platform.selector" . | nindent 6 }}
  progressDeadlineSeconds: {{ $.Values.progressDeadlineSeconds }}
  revisionHistoryLimit: 3
  strategy:
    {{- if .single }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "platform.labels" . | nindent 8 }}
        {{- with $own.podLabels }}{{ toYaml . | nindent 8 }}{{- end }}
      {{- if or $own.podAnnotations .checksum }}
      annotations:
        {{- with .checksum }}
        havn/configuration: {{ . | quote }}
        {{- end }}
        {{- with $own.podAnnotations }}{{ toYaml . | nindent 8 }}{{- end }}
      {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ add $.Values.preStopSeconds (mul 2 $.Values.drainSeconds) 5 }}
      {{- include "platform.pullSecrets" $ | nindent 6 }}
      securityContext: {{- include "platform.podSecurity" $ | nindent 8 }}
      topologySpreadConstraints:
        {{- $component := . }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "platform.selector" $component | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "platform.image" $ | quote }}
          imagePullPolicy: IfNotPresent
          args: {{- toYaml .arguments | nindent 12 }}
          securityContext: {{- include "platform.containerSecurity" $ | nindent 12 }}
          ports:
            {{- range $ports }}
            - {name: {{ .name }}, containerPort: {{ .number }}}
            {{- end }}
          env:
            - {name: HAVN_HOST, value: "0.0.0.0"}
            - {name: HAVN_PORT, value: {{ (first $ports).number | quote }}}
            - {name: HAVN_DRAIN_SECONDS, value: {{ $.Values.drainSeconds | quote }}}
            {{- include "platform.environment" $ | nindent 12 }}
            {{- if $.Values.tls.enabled }}
            - {name: HAVN_TLS_DIR, value: /mnt/tls}
            - {name: HAVN_TRUST_FILE, value: /mnt/trust/ca.crt}
            {{- end }}
            {{- with .extra.env }}{{ . | nindent 12 }}{{- end }}
            {{- range $key, $value := $own.environmentVariables }}
            - {name: {{ $key | quote }}, value: {{ $value | quote }}}
            {{- end }}
          {{- with .extra.envFrom }}
          envFrom: {{- . | nindent 12 }}
          {{- end }}
          resources: {{- toYaml $own.resources | nindent 12 }}
          {{- $probe := .probe }}
          {{- range $kind, $times := $.Values.probes }}
          {{ $kind }}Probe:
            httpGet:
              path: {{ ternary $probe.ready "/health" (eq $kind "readiness") }}
              port: {{ $probe.port }}
              scheme: {{ include "platform.scheme" $ | upper }}
            {{- toYaml $times | nindent 12 }}
          {{- end }}
          lifecycle:
            # The route goes before the pod: Traefik has these seconds to stop sending requests here.
            preStop: {sleep: {seconds: {{ $.Values.preStopSeconds }}}}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if .secret }}
            - {name: secrets, mountPath: /mnt/secrets, readOnly: true}
            {{- end }}
            {{- if $.Values.tls.enabled }}
            # Folders, never single files: those would stay as they were when the Secret changes.
            - {name: tls, mountPath: /mnt/tls, readOnly: true}
            - {name: trust, mountPath: /mnt/trust, readOnly: true}
            {{- end }}
            {{- with .extra.mounts }}{{ . | nindent 12 }}{{- end }}
            {{- range $own.claims }}
            - {name: {{ .name | quote }}, mountPath: {{ .mountPath | quote }}}
            {{- end }}
      volumes:
        {{- if .private }}
        # What lies here for a while is secret: never on the node's disk.
        - {name: tmp, emptyDir: {medium: Memory, sizeLimit: 512Mi}}
        {{- else }}
        - {name: tmp, emptyDir: {sizeLimit: 512Mi}}
        {{- end }}
        {{- if .secret }}
        - {name: secrets, secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}}
        {{- end }}
        {{- if $.Values.tls.enabled }}
        - {name: tls, secret: {secretName: {{ include "platform.certificate" . | quote }}, defaultMode: 0440}}
        - name: trust
          secret:
            secretName: {{ include "platform.authority" . | quote }}
            defaultMode: 0440
            items: [{key: ca.crt, path: ca.crt}]
        {{- end }}
        {{- with .extra.volumes }}{{ . | nindent 8 }}{{- end }}
        {{- range $own.claims }}
        - {name: {{ .name | quote }}, persistentVolumeClaim: {claimName: {{ .claim | quote }}}}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "platform.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  ipFamilyPolicy: PreferDualStack
  selector: {{- include "platform.selector" . | nindent 4 }}
  ports:
    - {name: {{ (first $ports).name }}, port: {{ .servicePort | default (include "platform.port" $) }}, targetPort: {{ (first $ports).name }}}
{{- if not .single }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "platform.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $.Values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels: {{- include "platform.selector" . | nindent 6 }}
{{- end }}
{{- if dig "autoscaling" "enabled" false $own }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels: {{- include "platform.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ $own.autoscaling.minReplicas }}
  maxReplicas: {{ $own.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $own.autoscaling.targetCPUUtilizationPercentage }}}
  behavior: {{- toYaml $own.autoscaling.behavior | nindent 4 }}
{{- end }}
{{- end -}}
