-- Service owners.
create table org (
    code    text        primary key check (code ~ '^[a-z][a-z0-9]{0,19}$'),
    name    text        not null,
    created timestamptz not null
);

-- Public keys with which an org's releases may be signed.
create table org_key (
    org         text        not null references org on delete cascade,
    fingerprint text        not null,
    public_key  text        not null,
    added       timestamptz not null,
    added_by    text        not null,
    primary key (org, fingerprint)
);

-- Environments, each with its own platform and data.
create table environment (
    name         text        primary key check (name ~ '^[a-z][a-z0-9-]{0,29}$'),
    type         text        not null check (type in ('test', 'production')),
    scheme       text        not null check (scheme in ('http', 'https')),
    domain       text        not null,
    -- Where the control plane reaches the platform, when not at platform.{domain}.
    platform_url text        not null,
    -- `another`: somebody else than who asks must approve a deployment.
    approval     text        not null check (approval in ('none', 'another')),
    -- What apps are told beside the above: HAVN_PLATFORM_URL, HAVN_EGRESS_URL and the like.
    settings     jsonb       not null,
    -- Values of charts/app for every cluster of the environment.
    app_values   jsonb       not null,
    -- The registry's name for the nodes of its clusters; empty: the one the control plane writes to.
    registry     text        not null,
    -- age-encrypted: the private JWK of the component `deploy` there.
    deploy_key   bytea,
    version      bigint      not null,
    changed      timestamptz not null
);

-- Where one org's apps run in one environment.
create table cluster (
    org         text        not null references org,
    environment text        not null references environment,
    server      text        not null,
    namespace   text        not null,
    -- age-encrypted kubeconfig.
    credentials bytea       not null,
    -- Address of its ingress, as DNS is to have it; empty while unknown.
    ingress     text        not null,
    -- Whether the control plane reaches that address, and so looks at apps from outside too.
    front       boolean     not null,
    -- Values of charts/app and charts/cluster that only this cluster has.
    app_values  jsonb       not null,
    base_values jsonb       not null,
    status      text        not null check (status in ('bootstrapping', 'ready', 'failed')),
    reason      text,
    -- Another number after every change: who holds an older one builds its connection anew.
    version     bigint      not null,
    added       timestamptz not null,
    added_by    text        not null,
    changed     timestamptz not null,
    primary key (org, environment)
);

create sequence estate_version;

-- age-encrypted: the access key (private JWK) of each rollout of an app.
create table app_key (
    environment text   not null,
    org         text   not null,
    app         text   not null,
    rollout     bigint not null,
    key_id      text   not null,
    private_key bytea  not null,
    primary key (environment, org, app, rollout)
);
