-- Every record says of which shard it is: one database may hold several, each with a writer, a ledger and offsets of its own.
--
-- The query tables lie in partitions, one for each shard: fills_0 holds the fills of shard 0. What a shard writes goes to
-- its own partition, where the shard is a default, so that no record carries it there and no index needs it: neither
-- writing nor reading costs more for the column. A question names the shard, and only that shard's partition is read.
--
-- The tables that there are become the partitions of the shard that the database has had an owner of. No record and no
-- index is written anew; the records are read once, to prove that all are of this shard. Partitions of further shards are
-- made by their writers (persistence/journal/shards.py). API keys are of the whole database.
--
-- What must be unique is so within a shard: the offsets, the ids of positions, and the client ids of a user, for which each
-- shard answers by itself. In the journal, whose partitions are by offset, the index of client ids says the shard.
--
-- A batch comes to the writer as an array of records for each table: fills_record is the type of what is in it.

set local statement_timeout = 0;

do $$
declare
    shards constant int[] := array(select shard from owner order by shard);
    shard constant int := coalesce(shards[1], 0);
    name text;
    part text;
    index_name text;
begin
    if cardinality(shards) > 1 and (exists (select from legs) or exists (select from prices)) then
        raise exception 'the query tables hold records of the shards % and do not say which is whose', shards;
    end if;
    foreach name in array array['fills', 'legs', 'prices', 'positions'] loop
        part := format('%s_%s', name, shard);
        execute (
            select format('create type %s_record as (%s)', name,
                string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum))
              from pg_attribute where attrelid = name::regclass and attnum > 0 and not attisdropped
        );
        execute format('alter table %s rename to %s', name, part);
        for index_name in select indexrelid::regclass from pg_index where indrelid = part::regclass loop
            execute format('alter index %s rename to %s', index_name, replace(index_name, name, part));
        end loop;
        execute format('alter table %s add column shard int not null default %s', part, shard);
        execute format('create table %s (like %s) partition by list (shard)', name, part);
        execute format('alter table %s attach partition %s for values in (%s)', name, part, shard);
    end loop;
    for part in select inhrelid::regclass from pg_inherits where inhparent = 'journal'::regclass loop
        execute format('alter table %s drop constraint %s_client_order_id, add constraint %s_client_order_id'
            ' unique (user_id, client_order_id, shard)', part, part, part);
    end loop;
end
$$;

-- For every partition; those that are there have these already, and keep them. Reasons: 0001.

create index fills_of_user on fills (user_id, "offset", n);
create index fills_of_market on fills (ticker, at, "offset", n);
create index fills_liquidations on fills (ticker, at, "offset", n) where kind = 'liquidation';
create index legs_from_wallet on legs (source, "offset", n) where source like 'user:%';
create index legs_to_wallet on legs (target, "offset", n) where target like 'user:%';
create index prices_of_market on prices (ticker, at, "offset", n);
create index positions_of_user on positions (user_id, opened_offset);
