-- The journal in partitions of consecutive offsets, so that old rows leave as a whole: archived, detached, dropped.
--
-- The table there is becomes the first partition, rows and indexes untouched; it is read once, to prove its range. The
-- further ones are made ahead by the journal's writer (persistence/partitions.py), with the same constraints.
--
-- A unique index on the parent must include the partition key. Two rules cannot, so that each partition has its own:
--   (user_id, client_order_id): one answer per client id is decided by the supervisor, which looks an id up in all
--     partitions before it begins the command. The index makes that quick, and is the backstop within one partition.
--   (shard, stream, market_seq): the ledger numbers each stream, and every reader checks that no number is missing or
--     there twice. The index finds a market's rows, and is the backstop within one partition.
-- `perps verify` looks for doubles of either kind in all partitions.

set local statement_timeout = 0;

alter table journal rename to journal_1;
alter table journal_1 rename constraint journal_offset to journal_1_offset;
alter table journal_1 rename constraint journal_client_order_id to journal_1_client_order_id;
alter table journal_1 rename constraint journal_stream_sequence to journal_1_stream_sequence;

create table journal (
    like journal_1,
    constraint journal_offset primary key (shard, "offset")
) partition by range ("offset");

do $$
declare
    last bigint;
begin
    select greatest(max(newest."offset"), 1) into last from owner, lateral (
        select max("offset") as "offset" from journal_1 where journal_1.shard = owner.shard
    ) newest;
    last := (coalesce(last, 1) + 999999) / 1000000 * 1000000;
    execute format('alter table journal attach partition journal_1 for values from (1) to (%s)', last + 1);
end
$$;

-- Which rows have left for the archive, and where it was then.

create table archives (
    shard         int         not null,
    first_offset  bigint      not null,
    last_offset   bigint      not null,
    previous_hash bytea       not null,
    last_hash     bytea       not null,
    file          text        not null,
    archived_at   timestamptz not null default now(),
    primary key (shard, last_offset)
);
