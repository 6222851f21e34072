create table user_settings (
    user_id integer primary key,
    language text not null default 'nb' check (language in ('nb', 'nn', 'en')),
    do_not_prompt_for_party boolean not null default false,
    preselected_party_uuid uuid,
    show_client_units boolean not null default false,
    should_show_sub_entities boolean not null default true,
    should_show_deleted_entities boolean not null default false,
    modified timestamptz not null
);

-- A person's contact data, mirrored from the national contact register.
create table contact (
    user_id integer primary key,
    email text,
    phone_number text,
    is_reserved boolean not null default false,
    confirmed timestamptz not null
);

create table party_group (
    id integer generated always as identity primary key,
    user_id integer not null,
    name text not null,
    is_favorite boolean not null default false,
    unique (user_id, name)
);
create unique index party_group_favorite on party_group (user_id) where is_favorite;

create table party_group_association (
    group_id integer not null references party_group (id) on delete cascade,
    party_uuid uuid not null,
    added timestamptz not null,
    primary key (group_id, party_uuid)
);

-- What has been imported, so that the same data is not written again.
create table import (
    source text primary key,
    digest text not null,
    at timestamptz not null
);
