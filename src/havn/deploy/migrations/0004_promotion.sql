-- What a deployment may carry beside its release: a base image, where open instances go, its scaling, its origin.

alter table deployment
    -- Digest of the base image that the release is put on; null: the cluster's newest, or none.
    add column base text,
    -- Open instances are moved: old task to new task.
    add column mapping jsonb not null default '{}',
    -- Whether open instances that the release has no place for may be left where they are.
    add column strand boolean not null default false,
    -- Once instances are being moved there is no way back but on.
    add column moving boolean not null default false,
    -- What a change of scale asks for: bounds between which the number of replicas follows the load.
    add column scaling jsonb,
    -- The environment that the release was promoted from.
    add column promoted_from text;

alter table deployment drop constraint deployment_kind_check;
alter table deployment
    add constraint deployment_kind_check check (kind in ('deploy', 'rollback', 'scale', 'undeploy', 'heal'));

alter table desired
    add column base text,
    -- Not part of a release: it stays through deploys and rollbacks, until the app is undeployed.
    add column scaling jsonb;

-- Deployments that somebody else than who asked must approve before they begin.
create table approval (
    id            bigint generated always as identity primary key,
    environment   text        not null,
    org           text        not null,
    app           text        not null,
    release       text        not null,
    base          text,
    replicas      integer     not null check (replicas between 0 and 100),
    mapping       jsonb       not null,
    strand        boolean     not null,
    promoted_from text,
    requested_by  text        not null,
    -- Who asked, by a name that never changes: what is compared with who approves.
    requester     text        not null,
    requested     timestamptz not null,
    expires       timestamptz not null,
    status        text        not null check (status in ('waiting', 'approved', 'rejected', 'expired')),
    decided_by    text,
    decided       timestamptz,
    comment       text,
    deployment    bigint references deployment,
    check ((status = 'waiting') = (decided is null)),
    check ((deployment is not null) = (status = 'approved')),
    check (status in ('waiting', 'expired') or decided_by is not null)
);
create index approval_waiting on approval (environment, org, app) where status = 'waiting';
