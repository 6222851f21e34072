-- The release that runs, on another base image.

alter table deployment drop constraint deployment_kind_check;
alter table deployment
    add constraint deployment_kind_check
        check (kind in ('deploy', 'rollback', 'scale', 'undeploy', 'heal', 'base'));
