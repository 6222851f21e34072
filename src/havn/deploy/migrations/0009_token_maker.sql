-- The person behind a machine's token: whoever made it, by a name that never changes. Approvals ask for somebody else.
alter table ci_token add column maker text not null default '';

-- Of tokens that there are, only the maker's name is known: it tells who it was when one person alone has it.
update ci_token t set maker = p.subject
  from person p
 where p.name = t.created_by
   and (select count(*) from person other where other.name = t.created_by) = 1;
