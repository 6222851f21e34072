-- Releases that were deployed at least once.
create table release (
    org            text        not null,
    app            text        not null,
    digest         text        not null,
    labels         jsonb       not null,
    first_deployed timestamptz not null,
    primary key (org, app, digest)
);

-- Every change that somebody wanted, in order, with how it ended.
create table deployment (
    id           bigint generated always as identity primary key,
    environment  text        not null,
    org          text        not null,
    app          text        not null,
    revision     integer     not null,
    kind         text        not null check (kind in ('deploy', 'rollback', 'scale', 'undeploy')),
    release      text,
    replicas     integer     not null check (replicas between 0 and 100),
    status       text        not null check (status in ('queued', 'running', 'restoring', 'succeeded', 'failed')),
    reason       text,
    requested_by text        not null,
    requested    timestamptz not null,
    finished     timestamptz,
    unique (environment, org, app, revision),
    check ((finished is not null) = (status in ('succeeded', 'failed')))
);

create table deployment_event (
    deployment bigint      not null references deployment,
    number     integer     not null,
    at         timestamptz not null,
    message    text        not null,
    primary key (deployment, number)
);

-- What each app should be just now: the last change that succeeded.
create table desired (
    environment text    not null,
    org         text    not null,
    app         text    not null,
    revision    integer not null,
    release     text    not null,
    replicas    integer not null,
    -- The change that put the release there: its access key is named after it, and outlives a change of scale.
    rollout     bigint  not null references deployment,
    primary key (environment, org, app)
);

create table audit (
    id          bigint generated always as identity primary key,
    at          timestamptz not null,
    who         text        not null,
    address     text        not null,
    action      text        not null,
    environment text        not null,
    org         text        not null,
    app         text        not null,
    before      jsonb,
    after       jsonb
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is only added to';
end $$;

create trigger audit_is_append_only before update or delete on audit
    for each row execute function refuse_change();
create trigger audit_is_never_emptied before truncate on audit
    for each statement execute function refuse_change();

create table job (
    id       bigint generated always as identity primary key,
    kind     text        not null,
    key      text        not null,
    payload  jsonb       not null,
    attempts integer     not null default 0,
    due      timestamptz not null default now(),
    error    text,
    created  timestamptz not null default now(),
    finished timestamptz
);
create index job_open on job (key, id) where finished is null;
