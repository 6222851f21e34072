-- People who have signed in, by the subject that the identity provider gives them.
create table person (
    subject   text        primary key,
    name      text        not null,
    first_in  timestamptz not null,
    last_in   timestamptz not null
);

-- Tokens for machines, such as a CI. What they may do stands in access_grant, under `token:{id}`.
create table ci_token (
    id         text        primary key,
    name       text        not null,
    hash       bytea       not null unique,
    created    timestamptz not null,
    created_by text        not null,
    expires    timestamptz not null,
    last_used  timestamptz,
    revoked    timestamptz
);

-- Who may do what: a person's subject or `token:{id}`, for one org or for all (`*`).
create table access_grant (
    subject    text        not null,
    org        text        not null,
    role       text        not null check (role in ('look', 'deploy', 'approve', 'administer')),
    granted    timestamptz not null,
    granted_by text        not null,
    primary key (subject, org, role)
);

-- Signed-in command lines. The token itself is nowhere, only its SHA-256.
create table login_session (
    hash    bytea       primary key,
    subject text        not null references person,
    created timestamptz not null,
    expires timestamptz not null
);
create index login_session_expires on login_session (expires);
