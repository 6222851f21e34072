-- Sign-ins under way: one row from the redirect to the identity provider until its callback, ten minutes at most.
create table login_transaction (
    state_hash bytea primary key,
    provider text not null,
    nonce text not null,
    code_verifier text not null,
    goto text not null,
    min_level smallint not null,
    created timestamptz not null,
    expires timestamptz not null
);
create index login_transaction_expires on login_transaction (expires);

create table session (
    sid text primary key,
    -- HMAC-SHA256 of the cookie's handle: the table alone signs nobody in.
    handle_hash bytea not null unique,
    provider text not null,
    upstream_issuer text not null,
    upstream_sub text not null,
    upstream_sid text,
    user_id integer not null,
    party_id integer not null,
    party_uuid uuid not null,
    username text,
    external_identity text,
    email text,
    selected_party_id integer not null,
    selected_party_uuid uuid,
    acr text not null,
    amr text[] not null,
    level smallint not null check (level between 0 and 4),
    method text not null,
    scopes text[] not null,
    provider_claims jsonb not null,
    auth_time timestamptz not null,
    created timestamptz not null,
    expires timestamptz not null,
    absolute_expires timestamptz not null,
    ip text,
    user_agent_hash bytea
);
create index session_upstream on session (upstream_issuer, upstream_sid) where upstream_sid is not null;
create index session_expires on session (expires);

-- Owners whose hosts hold a token of the session, and the app there that can clear it.
create table session_host (
    sid text not null references session (sid) on delete cascade,
    org text not null,
    prefix text not null,
    at timestamptz not null,
    primary key (sid, org)
);

create table one_time_code (
    code_hash bytea primary key,
    sid text not null references session (sid) on delete cascade,
    org text not null,
    app text not null,
    prefix text not null,
    expires timestamptz not null
);
create index one_time_code_expires on one_time_code (expires);

-- Ended sessions, until every token of theirs has ended by itself.
create table revocation (
    id bigint generated always as identity primary key,
    sid text not null,
    until timestamptz not null
);

-- Sign-outs under way: hosts still to be cleared, then the provider.
create table logout (
    id_hash bytea primary key,
    provider text,
    hosts jsonb not null,
    goto text,
    expires timestamptz not null
);
create index logout_expires on logout (expires);

-- Signing keys' public half and times; the private half lies encrypted in the key folder, never here.
create table signing_key (
    kid text primary key,
    alg text not null check (alg in ('RS256', 'ES256')),
    public jsonb not null,
    published timestamptz not null,
    signing_from timestamptz not null,
    removed timestamptz
);

-- Public keys of app deployments, for platform access tokens.
create table access_key (
    org text not null,
    app text not null,
    kid text not null,
    public jsonb not null,
    created timestamptz not null,
    primary key (org, kid)
);

create unlogged table rate (
    key bytea not null,
    slot timestamptz not null,
    count integer not null,
    primary key (key, slot)
);
create index rate_slot on rate (slot);

-- Append-only: what happened to sessions and keys.
create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    event text not null,
    sid text,
    user_id integer,
    detail jsonb not null
);
