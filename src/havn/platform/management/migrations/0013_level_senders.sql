-- Who sends what the ingress of an owner's cluster recorded: one secret for each, good for that owner's counts alone.
create table level_sender (
    org text not null,
    name text not null,
    -- SHA-256 of the secret, which has 256 bits of chance and needs no salt.
    digest bytea not null unique,
    created timestamptz not null,
    last_used timestamptz,
    primary key (org, name)
);
