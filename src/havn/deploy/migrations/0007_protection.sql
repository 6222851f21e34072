-- Apps in maintenance, where orgs have clusters. `until`: then it ends by itself.
create table maintenance (
    environment text        not null,
    org         text        not null,
    app         text        not null,
    message     text        not null,
    until       timestamptz,
    since       timestamptz not null,
    who         text        not null,
    primary key (environment, org, app),
    foreign key (org, environment) references cluster (org, environment) on delete cascade
);

-- Who is kept out of every cluster of an environment, or a subscription that is suspended there.
create table block (
    id           text        primary key,
    environment  text        not null references environment on delete cascade,
    network      text,
    subscription text,
    until        timestamptz not null,
    reason       text        not null,
    since        timestamptz not null,
    who          text        not null,
    check ((network is null) <> (subscription is null))
);
create index block_environment on block (environment, since);
