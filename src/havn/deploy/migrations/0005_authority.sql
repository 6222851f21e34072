-- The certificate authorities of each cluster: one signs; during a change another comes before it, or leaves after it.
create table authority (
    environment text        not null,
    org         text        not null,
    number      integer     not null,
    certificate text        not null,
    state       text        not null check (state in ('coming', 'signing', 'leaving')),
    -- age-encrypted private key; one that leaves signs nothing any more, so its key is gone.
    key_id      text,
    sealed      bytea,
    since       timestamptz not null,
    primary key (environment, org, number),
    check ((key_id is null) = (sealed is null)),
    check ((sealed is null) = (state = 'leaving'))
);
create unique index authority_one_signs on authority (environment, org) where state = 'signing';
create unique index authority_one_comes on authority (environment, org) where state = 'coming';

-- Clusters that are there already are looked after from now on; each job asks for the next.
insert into job (kind, key, payload)
    select 'certificates', environment || '/' || org || '/-certificates',
           jsonb_build_object('environment', environment, 'org', org) from cluster;
