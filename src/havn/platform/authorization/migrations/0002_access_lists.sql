-- Access lists: an owner's lists of organisations. An app that is limited is only for parties on a list made for it.
create table access_list (
    org text not null,
    identifier text not null,
    name text not null,
    description text not null,
    created timestamptz not null,
    updated timestamptz not null,
    updated_by text not null,
    primary key (org, identifier)
);

create table access_list_member (
    org text not null,
    identifier text not null,
    party bigint not null,
    party_uuid uuid not null,
    org_number text not null,
    since timestamptz not null,
    added_by text not null,
    primary key (org, identifier, party),
    foreign key (org, identifier) references access_list on delete cascade
);
create index access_list_member_party on access_list_member (party);

-- Which of its apps a list is for; no actions named: all of them.
create table access_list_resource (
    org text not null,
    identifier text not null,
    app text not null,
    actions text[] check (actions <> '{}'),
    connected_by text not null,
    primary key (org, identifier, app),
    foreign key (org, identifier) references access_list on delete cascade
);
create index access_list_resource_app on access_list_resource (org, app);

create table access_list_limit (
    org text not null,
    app text not null,
    since timestamptz not null,
    set_by text not null,
    primary key (org, app)
);

-- What is on a list goes with the policy wherever it is remembered, so a change to a list is a change to the policy.
create function announce_access_app() returns trigger language plpgsql as $$
declare
    changed record := case when tg_op = 'DELETE' then old else new end;
begin
    perform pg_notify('authorization_change',
        json_build_object('kind', 'policy', 'org', changed.org, 'app', changed.app)::text);
    return null;
end $$;
create trigger announce after insert or update or delete on access_list_resource
    for each row execute function announce_access_app();
create trigger announce after insert or update or delete on access_list_limit
    for each row execute function announce_access_app();

create function announce_access_member() returns trigger language plpgsql as $$
declare
    changed record := case when tg_op = 'DELETE' then old else new end;
begin
    perform pg_notify('authorization_change',
        json_build_object('kind', 'policy', 'org', r.org, 'app', r.app)::text)
    from access_list_resource r where (r.org, r.identifier) = (changed.org, changed.identifier);
    return null;
end $$;
create trigger announce after insert or update or delete on access_list_member
    for each row execute function announce_access_member();
