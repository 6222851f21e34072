-- How often one address may begin to sign in: a bucket for each, as the time at which it is full again.
create table call_rate (
    -- SHA-256 of the kind of call and the address: who called is not kept.
    key bytea  primary key,
    -- Theoretical arrival time of GCRA, in microseconds since 1970.
    tat bigint not null
);
create index call_rate_tat on call_rate (tat);
