-- Funding, hour by hour: one record for each full hour that a market noted. "offset" and n are the event's place; at is the
-- row's time, hour_at the hour's end. Before this no market had funding, so there is nothing to fill in.
--
-- Each shard has a partition, as it has of the other query tables (0004).

create table funding (
    "offset"      bigint  not null,
    n             int     not null,
    at            bigint  not null,
    ticker        text    not null,
    hour_at       bigint  not null,
    funding_index bigint  not null,  -- 10^-9 micros per lot
    paid          bigint  not null,  -- what the index has gained since the record before
    rate          bigint  not null,  -- 10^-18 of the notional per day
    index_price   bigint  not null,  -- ticks
    shard         int     not null
) partition by list (shard);

create type funding_record as (
    "offset"      bigint,
    n             int,
    at            bigint,
    ticker        text,
    hour_at       bigint,
    funding_index bigint,
    paid          bigint,
    rate          bigint,
    index_price   bigint
);

do $$
declare
    shard int;
begin
    for shard in
        select substring(inhrelid::regclass::text from 'fills_(\d+)$')::int from pg_inherits
         where inhparent = 'fills'::regclass
    loop
        execute format('create table funding_%s (like funding, primary key ("offset", n))', shard);
        execute format('alter table funding_%s alter column shard set default %s', shard, shard);
        execute format('alter table funding attach partition funding_%s for values in (%s)', shard, shard);
    end loop;
end
$$;

create index funding_of_market on funding (ticker, at, "offset", n);
