-- Policies: every published version stays; which one is in force is a row of its own, with its history.
create table policy (
    org text not null,
    app text not null,
    version int not null check (version > 0),
    digest text not null,
    xml bytea not null,
    published timestamptz not null default now(),
    published_by text not null,
    release text,
    primary key (org, app, version)
);

create table policy_in_force (
    org text not null,
    app text not null,
    version int not null,
    primary key (org, app),
    foreign key (org, app, version) references policy
);

create table policy_activation (
    id bigint generated always as identity primary key,
    org text not null,
    app text not null,
    version int not null,
    previous int,
    activated timestamptz not null default now(),
    activated_by text not null,
    reason text,
    foreign key (org, app, version) references policy
);
create index policy_activation_app on policy_activation (org, app, id desc);

-- Delegations: what one party lets others do on its behalf. Never deleted: ended by time or by revocation.
create table delegation (
    id uuid primary key,
    from_party bigint not null,
    to_user bigint,
    to_party bigint,
    to_system_user uuid,
    kind text not null check (kind in ('right', 'role', 'accessPackage')),
    resource jsonb,
    action text,
    code text,
    instance_id text,
    valid_from timestamptz not null,
    valid_to timestamptz,
    further int not null check (further between 0 and 8),
    depth int not null check (depth between 0 and 8),
    parent uuid references delegation,
    given timestamptz not null default now(),
    given_by text not null,
    revoked timestamptz,
    revoked_by text,
    reason text,
    check (num_nonnulls(to_user, to_party, to_system_user) = 1),
    check ((kind = 'right') = (resource is not null and action is not null)),
    check ((kind = 'right') = (code is null)),
    check (valid_to is null or valid_to > valid_from)
);
create index delegation_from on delegation (from_party) where revoked is null;
create index delegation_to_user on delegation (to_user) where revoked is null;
create index delegation_to_party on delegation (to_party) where revoked is null;
create index delegation_to_system_user on delegation (to_system_user) where revoked is null;
create index delegation_parent on delegation (parent);

-- Who gave and took back what, in order; the delegation's own row is the state, this is the record.
create table delegation_change (
    id bigint generated always as identity primary key,
    delegation uuid not null references delegation,
    change text not null check (change in ('grant', 'revoke')),
    at timestamptz not null default now(),
    by text not null
);

-- The decision log. Persons only as keyed pseudonyms; what was decided on is kept once per distinct set.
create table decision_facts (
    digest bytea primary key,
    attributes jsonb not null,
    last_seen date not null
);

create table decision (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    org text not null,
    app text not null,
    subject text not null,
    party text,
    instance uuid,
    place text,
    action text not null,
    result text not null check (result in ('Permit', 'Deny', 'NotApplicable', 'Indeterminate')),
    rule text,
    policy_version int,
    micros int not null,
    count int not null,
    trace_id text,
    decided_by text not null,
    facts bytea
);
create index decision_app on decision (org, app, id desc);
create index decision_at on decision using brin (at);
create index decision_instance on decision (instance) where instance is not null;
create index decision_subject on decision (org, subject, id desc);
create index decision_by_facts on decision (facts) where facts is not null;

create table decision_dropped (
    at timestamptz not null default now(),
    decided_by text not null,
    count bigint not null
);

create table decision_retention (
    org text not null,
    app text not null,
    permit_days int not null check (permit_days between 1 and 3650),
    refusal_days int not null check (refusal_days between 1 and 3650),
    primary key (org, app)
);

-- Every change that makes a remembered answer wrong is announced when its transaction commits.
create function announce_policy() returns trigger language plpgsql as $$
begin
    perform pg_notify('authorization_change',
        json_build_object('kind', 'policy', 'org', new.org, 'app', new.app)::text);
    return null;
end $$;
create trigger announce after insert or update on policy_in_force for each row execute function announce_policy();

create function announce_delegation() returns trigger language plpgsql as $$
begin
    perform pg_notify('authorization_change', json_build_object('kind', 'facts', 'partyId', new.from_party)::text);
    return null;
end $$;
create trigger announce after insert or update on delegation for each row execute function announce_delegation();
