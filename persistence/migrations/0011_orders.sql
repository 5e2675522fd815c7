-- Orders: one record an order, from the row that places it to the one that ends it. "offset" is the row that changed it last.
-- Before this no market had orders, so there is nothing to fill in.
--
-- Each shard has a partition, as it has of the other query tables (0004).

create table orders (
    id                    text   not null,
    user_id               text   not null,
    ticker                text   not null,
    placed_offset         bigint not null,
    "offset"              bigint not null,
    status                text   not null,
    reason                text,
    kind                  text   not null,
    side                  text   not null,
    size                  bigint not null,  -- micros
    leverage              int    not null,
    price                 bigint not null,  -- ticks
    reserve               bigint not null,  -- micros
    placed_at             bigint not null,
    expires_at            bigint,
    acceptable_price      bigint,           -- nanos, and below them
    acceptable_price_pico int    not null,  -- so many pico
    take_profit           bigint,           -- ticks
    stop_loss             bigint,
    closed_at             bigint,
    position_id           text,
    filled_lots           bigint,
    filled_cost           bigint,
    shard                 int    not null
) partition by list (shard);

create type orders_record as (
    id                    text,
    user_id               text,
    ticker                text,
    placed_offset         bigint,
    "offset"              bigint,
    status                text,
    reason                text,
    kind                  text,
    side                  text,
    size                  bigint,
    leverage              int,
    price                 bigint,
    reserve               bigint,
    placed_at             bigint,
    expires_at            bigint,
    acceptable_price      bigint,
    acceptable_price_pico int,
    take_profit           bigint,
    stop_loss             bigint,
    closed_at             bigint,
    position_id           text,
    filled_lots           bigint,
    filled_cost           bigint
);

do $$
declare
    shard int;
begin
    for shard in
        select substring(inhrelid::regclass::text from 'fills_(\d+)$')::int from pg_inherits
         where inhparent = 'fills'::regclass
    loop
        execute format('create table orders_%s (like orders, primary key (id)) with (fillfactor = 85)', shard);
        execute format('alter table orders_%s alter column shard set default %s', shard, shard);
        execute format('alter table orders attach partition orders_%s for values in (%s)', shard, shard);
    end loop;
end
$$;

create index orders_of_user on orders (user_id, placed_offset);                                   -- a user's orders
create index open_orders_of_user on orders (user_id, placed_offset) where status = 'open';        -- those that rest
