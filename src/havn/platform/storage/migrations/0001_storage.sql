-- Applications and their texts, instances, data elements, events, locks.
--
-- Guids of instances are UUID version 7 and lead every key of what belongs to an instance, so that the three large
-- tables can be partitioned by ranges of guid, which are ranges of time, without a change to any statement.

create table application (
    org text not null,
    app text not null,
    version bigint not null default 1,
    document jsonb not null,
    primary key (org, app)
);

create table text_resource (
    org text not null,
    app text not null,
    language text not null,
    -- The app's name in this language, for titles in message boxes; null when the texts have none.
    app_name text,
    document jsonb not null,
    primary key (org, app, language),
    foreign key (org, app) references application on delete cascade
);

create table instance (
    guid uuid primary key,
    org text not null,
    app text not null,
    party_id bigint not null,
    owner jsonb not null,
    version bigint not null default 1,
    due_before timestamptz,
    visible_after timestamptz,
    process jsonb,
    task_id text,
    process_ended timestamptz,
    is_archived boolean not null default false,
    archived timestamptz,
    is_soft_deleted boolean not null default false,
    soft_deleted timestamptz,
    is_hard_deleted boolean not null default false,
    hard_deleted timestamptz,
    read_status text not null default 'Unread',
    substatus jsonb,
    -- Whether the owning org is among the confirmations.
    confirmed boolean not null default false,
    confirmations jsonb,
    presentation_texts jsonb,
    data_values jsonb,
    created timestamptz not null,
    created_by text not null,
    last_changed timestamptz not null,
    last_changed_by text not null
) with (fillfactor = 80);

-- One party, newest first, in a message box or for a user.
create index instance_party on instance (party_id, last_changed, guid);
-- An owner's poll of one app, or of all.
create index instance_app on instance (org, app, last_changed, guid);
create index instance_org on instance (org, last_changed, guid);
create index instance_unconfirmed on instance (org, last_changed, guid) where not confirmed and is_archived;
create index instance_created on instance (org, created);
-- The archive reference people are given.
create index instance_reference on instance (right(guid::text, 12));
create index instance_hard_deleted on instance (hard_deleted) where is_hard_deleted;

create table data_element (
    instance_guid uuid not null references instance on delete cascade,
    guid uuid not null,
    version bigint not null default 1,
    data_type text not null,
    filename text,
    content_type text not null,
    blob_path text not null,
    size bigint not null,
    content_hash text not null,
    locked boolean not null default false,
    is_read boolean not null default true,
    file_scan_result text not null default 'NotApplicable',
    is_hard_deleted boolean not null default false,
    hard_deleted timestamptz,
    refs text[] not null default '{}',
    tags text[] not null default '{}',
    user_defined_metadata jsonb,
    metadata jsonb,
    made_from jsonb,
    created timestamptz not null,
    created_by text not null,
    last_changed timestamptz not null,
    last_changed_by text not null,
    primary key (instance_guid, guid)
) with (fillfactor = 80);

create index data_element_hard_deleted on data_element (hard_deleted) where is_hard_deleted;

-- Events outlive their instance, so nothing refers to it.
create table instance_event (
    -- Settles the order of events of the same moment.
    id bigint generated always as identity,
    instance_guid uuid not null,
    guid uuid not null,
    created timestamptz not null,
    event_type text not null,
    document jsonb not null,
    primary key (instance_guid, guid)
);

-- At most one holder; the holder's secret is kept as its SHA-256.
create table instance_lock (
    instance_guid uuid primary key references instance on delete cascade,
    id uuid not null,
    locked_until timestamptz not null,
    locked_by text not null,
    secret_hash bytea not null
);

-- What a creation with an Idempotency-Key led to, so that its repetition leads to the same.
create table idempotency (
    caller text not null,
    key text not null,
    request text not null,
    instance_guid uuid not null,
    element_guid uuid,
    created timestamptz not null,
    primary key (caller, key)
);
create index idempotency_created on idempotency (created);

-- Blobs that are to go: written but perhaps never referred to, or referred to no more. A line is made before its blob.
create table blob_garbage (
    path text primary key,
    after timestamptz not null
);
create index blob_garbage_after on blob_garbage (after);
