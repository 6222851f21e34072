-- One number for the whole of what decisions rest on here. It grows once for each transaction that changes any of it,
-- in the order in which they commit: a row, not a sequence, because a number must not be seen before a smaller one is.
create table state (
    only_row boolean primary key default true check (only_row),
    version bigint not null
);
insert into state(version) values (1);

create function next_version() returns bigint language plpgsql as $$
declare
    made text := current_setting('havn.authorization_version', true);
begin
    if made is null or made = '' then
        update state set version = version + 1 returning version::text into made;
        perform set_config('havn.authorization_version', made, true);
    end if;
    return made::bigint;
end $$;

-- Announced as the very last thing a transaction does, so that the number is locked for a moment only and always last.
create or replace function announce_policy() returns trigger language plpgsql as $$
declare
    changed record := case when tg_op = 'DELETE' then old else new end;
begin
    perform pg_notify('authorization_change', json_build_object(
        'kind', 'policy', 'org', changed.org, 'app', changed.app, 'version', next_version())::text);
    return null;
end $$;
drop trigger announce on policy_in_force;
create constraint trigger announce after insert or update or delete on policy_in_force
    deferrable initially deferred for each row execute function announce_policy();

create or replace function announce_delegation() returns trigger language plpgsql as $$
begin
    perform pg_notify('authorization_change', json_build_object(
        'kind', 'facts', 'partyId', new.from_party, 'version', next_version())::text);
    return null;
end $$;
drop trigger announce on delegation;
create constraint trigger announce after insert or update on delegation
    deferrable initially deferred for each row execute function announce_delegation();

drop trigger announce on access_list_resource;
drop trigger announce on access_list_limit;
drop function announce_access_app();
create constraint trigger announce after insert or update or delete on access_list_resource
    deferrable initially deferred for each row execute function announce_policy();
create constraint trigger announce after insert or update or delete on access_list_limit
    deferrable initially deferred for each row execute function announce_policy();

create or replace function announce_access_member() returns trigger language plpgsql as $$
declare
    changed record := case when tg_op = 'DELETE' then old else new end;
begin
    perform pg_notify('authorization_change', json_build_object(
        'kind', 'policy', 'org', r.org, 'app', r.app, 'version', next_version())::text)
    from access_list_resource r where (r.org, r.identifier) = (changed.org, changed.identifier);
    return null;
end $$;
drop trigger announce on access_list_member;
create constraint trigger announce after insert or update or delete on access_list_member
    deferrable initially deferred for each row execute function announce_access_member();
