-- Service levels: counts of every request by minute, hour and day, agreements, planned maintenance, and alerts.

-- Sums of histograms, bucket by bucket.
create function level_add(bigint[], bigint[]) returns bigint[] immutable parallel safe language sql as
$$ select array_agg(coalesce(x, 0) + coalesce(y, 0) order by n) from unnest($1, $2) with ordinality as pair(x, y, n) $$;
create aggregate level_sum(bigint[]) (sfunc = level_add, stype = bigint[], initcond = '{}', parallel = safe,
    combinefunc = level_add);

-- Batches that are in the counts already; one that comes again is not counted again.
create table level_batch (
    id text primary key,
    source text not null,
    received timestamptz not null
);
create index level_batch_received on level_batch (received);

create table level_minute (
    org text not null,
    app text not null,
    -- When the minute, the hour (of UTC) or the day (of Oslo) begins.
    at timestamptz not null,
    version text not null,
    subscription text not null,
    -- Within maintenance that was declared before it began.
    planned boolean not null,
    good bigint not null,
    bad bigint not null,
    excluded bigint not null,
    refused bigint not null,
    probes bigint not null,
    probes_bad bigint not null,
    total bigint[] not null,
    backend bigint[] not null,
    gateway bigint[] not null,
    primary key (org, app, at, version, subscription, planned)
);
create table level_hour (like level_minute including all);
create table level_day (like level_minute including all);
create index level_minute_at on level_minute (at);
create index level_hour_at on level_hour (at);
create index level_day_at on level_day (at);

create table level_agreement (
    org text not null,
    name text not null,
    app text not null,
    api text,
    plan text,
    targets jsonb not null,
    alert_url text,
    -- With a key that is not in the database: the secret that signs the messages to alert_url.
    alert_salt bytea,
    changed timestamptz not null,
    primary key (org, name),
    check ((alert_url is null) = (alert_salt is null))
);

create table level_maintenance (
    id uuid primary key,
    org text not null,
    app text,
    starts timestamptz not null,
    ends timestamptz not null,
    reason text not null,
    declared timestamptz not null,
    cancelled timestamptz,
    check (starts < ends)
);
create index level_maintenance_org on level_maintenance (org, starts);

-- The alert that is on, so that each is told once when it begins and once when it is over.
create table level_alert (
    org text not null,
    name text not null,
    id uuid not null,
    since timestamptz not null,
    primary key (org, name),
    foreign key (org, name) references level_agreement on delete cascade
);

-- What is to be delivered, done by the queue of havn.kit.queue.
create table if not exists job (
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
create index if not exists job_open on job (key, id) where finished is null;
