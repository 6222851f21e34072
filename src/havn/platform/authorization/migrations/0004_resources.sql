-- Resources that are no apps. Each version of an entry stays; a deleted one keeps its id, and whose it is.
-- Their policies are in `policy` under the name `resource:{id}` of their owner.
create table resource (
    id text primary key check (id ~ '^[a-z0-9_-]{4,100}$' and id !~ '^app_'),
    org text not null,
    current bigint
);
create index resource_org on resource (org);

create table resource_version (
    version_id bigint generated always as identity primary key,
    id text not null references resource,
    document jsonb not null,
    made timestamptz not null,
    made_by text not null
);
create index resource_version_id on resource_version (id, version_id desc);
alter table resource add foreign key (current) references resource_version;

-- Whom a version's Permit rules name, as lower case urns; null until somebody has asked which resources name a subject.
alter table policy add column subjects text[];
create index policy_subjects on policy using gin (subjects);

create function announce_resource() returns trigger language plpgsql as $$
begin
    perform pg_notify('authorization_change', json_build_object(
        'kind', 'policy', 'org', new.org, 'app', 'resource:' || new.id, 'version', next_version())::text);
    return null;
end $$;
create constraint trigger announce after insert or update on resource
    deferrable initially deferred for each row execute function announce_resource();

-- Which organisations a person may represent: `access` to this, for those with a key role there.
insert into resource(id, org) values ('altinn_keyrole_access', 'platform');
insert into resource_version(id, document, made, made_by)
values ('altinn_keyrole_access', '{
    "identifier": "altinn_keyrole_access",
    "title": {"nb": "Nøkkelroller", "nn": "Nøkkelroller", "en": "Key roles"},
    "description": {
        "nb": "Hvem som kan opptre på vegne av en virksomhet.",
        "nn": "Kven som kan opptre på vegner av ei verksemd.",
        "en": "Who can act on behalf of an organisation."
    },
    "status": "Completed",
    "delegable": false,
    "visible": false,
    "hasCompetentAuthority": {"orgcode": "platform"},
    "resourceType": "Systemresource"
}', now(), 'platform');
update resource set current = (select max(version_id) from resource_version) where id = 'altinn_keyrole_access';

with text as (
    select convert_to(
'<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="urn:altinn:policyid:altinn_keyrole_access"'
' Version="1.0" RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
'<Rule RuleId="urn:altinn:resource:altinn_keyrole_access:ruleid:1" Effect="Permit"><Target><AnyOf>'
    || (
        select string_agg(
'<AllOf><Match MatchId="urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">'
    || role ||
'</AttributeValue><AttributeDesignator AttributeId="urn:altinn:rolecode" Category="urn:oasis:names:tc:xacml:1.0:subject-category:access-subject" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match></AllOf>',
            '' order by role)
        from unnest(array['best', 'bobe', 'dagl', 'dtpr', 'dtso', 'innh', 'komp', 'lede']) as role
    ) ||
'</AnyOf><AnyOf><AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">altinn_keyrole_access</AttributeValue><AttributeDesignator AttributeId="urn:altinn:resource" Category="urn:oasis:names:tc:xacml:3.0:attribute-category:resource" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match></AllOf></AnyOf>'
'<AnyOf><AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">access</AttributeValue><AttributeDesignator AttributeId="urn:oasis:names:tc:xacml:1.0:action:action-id" Category="urn:oasis:names:tc:xacml:3.0:attribute-category:action" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match></AllOf></AnyOf></Target></Rule></Policy>',
    'UTF8') as xml
)
insert into policy(org, app, version, digest, xml, published_by)
select 'platform', 'resource:altinn_keyrole_access', 1, encode(sha256(xml), 'hex'), xml, 'platform' from text;
insert into policy_in_force(org, app, version) values ('platform', 'resource:altinn_keyrole_access', 1);
insert into policy_activation(org, app, version, activated_by) values ('platform', 'resource:altinn_keyrole_access', 1, 'platform');
