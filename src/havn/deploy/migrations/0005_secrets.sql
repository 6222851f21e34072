-- The secrets of apps, a row for each version; app '' is the whole org's. Sealed with age to the key named key_id.
-- The row outlives the value, which goes when nothing runs with it any more.
create table secret (
    environment text        not null,
    org         text        not null,
    app         text        not null,
    name        text        not null,
    version     integer     not null,
    variable    text,
    removed     boolean     not null default false,
    size        integer     not null,
    key_id      text,
    sealed      bytea,
    set_by      text        not null,
    set_at      timestamptz not null,
    primary key (environment, org, app, name, version),
    check ((key_id is null) = (sealed is null)),
    check (not removed or sealed is null)
);

-- The versions that each app was last put in force with: what a deployment that fails goes back to.
create table secret_in_force (
    environment text    not null,
    org         text    not null,
    app         text    not null,
    name        text    not null,
    -- The secret's own app: '' when it is the org's.
    owner       text    not null,
    version     integer not null,
    primary key (environment, org, app, name)
);
