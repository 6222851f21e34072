-- Apis, plans, applications, subscriptions and keys, the history of their changes, and one counter of all changes.

-- Whoever enforces follows this number: it grows in the transaction of every change, and waiting sessions are told.
create table change (
    only_row boolean primary key default true check (only_row),
    version bigint not null
);
insert into change(version) values (1);

create function changed() returns trigger language plpgsql as $$
declare
    stamp bigint;
begin
    update change set version = version + 1 returning version into stamp;
    perform pg_notify('management_change', stamp::text);
    return null;
end $$;

create table api (
    id text primary key,
    org text not null,
    app text not null,
    name text not null,
    version text not null,
    state text not null check (state in ('draft', 'published', 'deprecated', 'retired')),
    -- Whether it came with a deployment of the app, which then may also take it away.
    declared boolean not null default false,
    document jsonb not null,
    changed timestamptz not null,
    unique (org, app, name, version)
);

create table plan (
    id text primary key,
    api text not null references api on delete cascade,
    state text not null check (state in ('open', 'closed')),
    document jsonb not null
);
create index plan_api on plan (api);

create table application (
    id uuid primary key,
    owner text not null check (owner ~ '^[0-9]{9}$'),
    owner_name text not null default '',
    name text not null,
    contact text not null default '',
    created timestamptz not null,
    unique (owner, name)
);

create table subscription (
    id uuid primary key,
    application uuid not null references application,
    plan text not null references plan,
    state text not null check (state in ('pending', 'active', 'suspended', 'rejected', 'revoked', 'expired')),
    reason text not null default '',
    purpose text not null default '',
    created timestamptz not null,
    expires timestamptz
);
-- One way to a plan for each application.
create unique index subscription_live on subscription (application, plan)
    where state in ('pending', 'active', 'suspended');
create index subscription_plan on subscription (plan, state);

create table api_key (
    -- Visible, and how a key is found.
    prefix text primary key,
    subscription uuid not null references subscription,
    salt bytea not null,
    digest bytea not null,
    created timestamptz not null,
    expires timestamptz,
    last_used timestamptz,
    revoked timestamptz
);
create index api_key_subscription on api_key (subscription);

create trigger api_changed after insert or update or delete on api
    for each statement execute function changed();
create trigger plan_changed after insert or update or delete on plan
    for each statement execute function changed();
create trigger application_changed after update or delete on application
    for each statement execute function changed();
create trigger subscription_changed after insert or update or delete on subscription
    for each statement execute function changed();
-- Not `last_used`, which follows the traffic.
create trigger api_key_changed after insert or delete or update of revoked, expires, salt, digest on api_key
    for each statement execute function changed();

create table history (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    who text not null,
    address text not null,
    action text not null,
    object text not null,
    -- Whose business it is: the owner of the Api, and the consumer.
    org text,
    consumer text,
    before jsonb,
    after jsonb
);
create index history_object on history (object, id);
create index history_org on history (org, id);
create index history_consumer on history (consumer, id);

create function append_only() returns trigger language plpgsql as $$
begin
    raise exception 'history is only added to';
end $$;
create trigger history_append_only before update or delete or truncate on history
    for each statement execute function append_only();
