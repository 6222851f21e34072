-- What has been used: quotas by calendar period, and requests by day.

create table quota_use (
    -- A subscription, or an Api for all its callers without a key together.
    subject text not null,
    quota text not null,
    -- The first day of the period, Norwegian time.
    first date not null,
    -- Handed out to enforcing processes, and of that what they have told was used. The difference lies with them.
    granted bigint not null default 0,
    used bigint not null default 0,
    rejected bigint not null default 0,
    -- Let through although the quota was used up, while the plan only observes.
    observed bigint not null default 0,
    primary key (subject, quota, first)
);

create table use_by_day (
    subject text not null,
    day date not null,
    allowed bigint not null default 0,
    rejected bigint not null default 0,
    observed bigint not null default 0,
    primary key (subject, day)
);

-- One settlement with one holder, atomically: count what it used, take back what it returns, hand out the next portion.
-- The same arithmetic as engines/limits/portions.py.
create function settle_quota(
    subject_ text, quota_ text, first_ date, most bigint,
    used_ bigint, returned bigint, need bigint, want bigint, rejected_ bigint, observed_ bigint,
    out portion bigint, out remaining bigint
) language plpgsql as $$
declare
    total record;
    remains bigint;
begin
    insert into quota_use(subject, quota, first) values (subject_, quota_, first_) on conflict do nothing;
    select granted, used into total from quota_use
        where subject = subject_ and quota = quota_ and first = first_ for update;
    -- Nobody uses or returns what was not handed out: what is told twice counts once.
    used_ := least(used_, total.granted - total.used);
    returned := least(returned, total.granted - total.used - used_);
    total.used := total.used + used_;
    total.granted := total.granted - returned;
    remains := greatest(0, most - total.granted);
    portion := least(remains, greatest(need, least(want, greatest(0,
        least(most / 25 - (total.granted - total.used), remains / 4)))));
    remaining := remains - portion;
    update quota_use set granted = total.granted + portion, used = total.used,
            rejected = rejected + rejected_, observed = observed + observed_
        where subject = subject_ and quota = quota_ and first = first_;
end $$;
