-- One sequence of versions for all tables: a change anywhere gets a number higher than every change before it.
-- Writers take the advisory lock in store.py, so that numbers become visible in order and a reader misses none.
create sequence version;
-- Ids for parties and users that are imported without one; the numbers below are left to fixed test data.
create sequence person_id start 50100000;
create sequence organization_id start 51100000;
create sequence user_id start 20100000;

create table party (
    id integer primary key,
    uuid uuid not null unique,
    type smallint not null check (type in (1, 2, 3)),
    external_urn text not null unique,
    number text,
    name text not null,
    -- The name without case and diacritics, for search by beginning of a word.
    folded text not null,
    unit_type text,
    main_unit integer references party (id),
    replaced_by integer references party (id),
    -- The person or organisation as it goes over the wire.
    detail jsonb,
    date_of_birth date,
    email text,
    created timestamptz not null,
    modified timestamptz not null,
    deleted_at timestamptz,
    version bigint not null default nextval('version'),
    unique (type, number)
);
create index party_main_unit on party (main_unit) where main_unit is not null;
create index party_version on party (version);
create index party_folded on party (folded text_pattern_ops) where type = 2;

create table account (
    user_id integer primary key,
    party_id integer not null unique references party (id),
    username text unique,
    external_identity text unique
);

-- Who holds what: `from_party` is the one the role is for, `to_party` the one who holds it.
create table role_assignment (
    from_party integer not null references party (id),
    to_party integer not null references party (id),
    code text not null check (code = lower(code)),
    source text not null check (source in ('ccr', 'cra', 'altinn')),
    since timestamptz not null,
    removed_at timestamptz,
    version bigint not null default nextval('version'),
    primary key (from_party, to_party, code, source)
);
create index role_assignment_holder on role_assignment (to_party) where removed_at is null;
create index role_assignment_version on role_assignment (version);

-- Person look-ups by name that missed, counted per key (a hash of user, app or number) over the last hour.
create table missed_lookup (
    id bigint generated always as identity primary key,
    keys bytea[] not null,
    at timestamptz not null
);
create index missed_lookup_keys on missed_lookup using gin (keys);
create index missed_lookup_at on missed_lookup (at);

-- Append-only: which component read a person or resolved a number, for whom.
create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    action text not null,
    caller text not null,
    performed_by text not null,
    party uuid
);

-- What has been imported, so that the same data is not written again.
create table import (
    source text primary key,
    digest text not null,
    at timestamptz not null
);
