-- Candles of a minute and of an hour, so that nobody has to make them of millions of fills.
--
-- A candle is written once, when it has ended: with the row that brings its market's next price or trade. So nothing is
-- updated, and a candle that is still open is nowhere but in fills and prices. Longer candles are made of these when
-- they are asked for. "offset" is the row that ended the candle; n is 0 for a minute and 1 for an hour.
--
-- Each shard has a partition, as it has of the other query tables (0004). Its candles so far are made here, of its fills
-- and prices, market by market.

set local statement_timeout = 0;

create table candles (
    "offset" bigint  not null,
    n        int     not null,
    ticker   text    not null,
    width    bigint  not null,  -- milliseconds: 60000 or 3600000
    start    bigint  not null,
    open     bigint  not null,
    high     bigint  not null,
    low      bigint  not null,
    close    bigint  not null,
    volume   numeric not null,  -- a sum without bound
    count    bigint  not null,
    shard    int     not null
) partition by list (shard);

create type candles_record as (
    "offset" bigint,
    n        int,
    ticker   text,
    width    bigint,
    start    bigint,
    open     bigint,
    high     bigint,
    low      bigint,
    close    bigint,
    volume   numeric,
    count    bigint
);

do $$
declare
    shard int;
    tickers text[];
    name text;
    number int;
begin
    for shard in
        select substring(inhrelid::regclass::text from 'fills_(\d+)$')::int from pg_inherits
         where inhparent = 'fills'::regclass
    loop
        execute format('create table candles_%s (like candles, primary key (ticker, width, start))', shard);
        execute format('alter table candles_%s alter column shard set default %s', shard, shard);
        execute format('alter table candles attach partition candles_%s for values in (%s)', shard, shard);
        execute format('select array(select ticker from prices_%1$s union select ticker from fills_%1$s order by 1)', shard)
           into tickers;
        number := 0;
        foreach name in array tickers loop
            number := number + 1;
            raise notice 'making the candles of %: market % of %', name, number, cardinality(tickers);
            execute format($statement$
                insert into candles_%1$s ("offset", n, ticker, width, start, open, high, low, close, volume, count)
                with minutes as materialized (
                    select at - at %% 60000 as start, min(place) as first, max(place) as last, max(quote) as high,
                           min(quote) as low, sum(volume) as volume, sum(trades) as count
                      from (
                        select at, array["offset", n, quote_price] as place, quote_price as quote, 0 as volume, 0 as trades
                          from prices_%1$s where ticker = $1
                        union all
                        select at, array["offset", n, quote_after], quote_after, abs(cost), 1
                          from fills_%1$s where ticker = $1
                      ) events
                     group by 1
                ), hours as (
                    select start - start %% 3600000 as start, min(first) as first, max(last) as last, max(high) as high,
                           min(low) as low, sum(volume) as volume, sum(count) as count
                      from minutes group by 1
                ), candles as (
                    select 0 as n, 60000 as width, minutes.*, lead(first) over (order by start) as next from minutes
                    union all
                    select 1, 3600000, hours.*, lead(first) over (order by start) from hours
                )
                select next[1], n, $1, width, start, first[3], high, low, last[3], volume, count
                  from candles where next is not null
            $statement$, shard) using name;
        end loop;
        execute format('analyze candles_%s', shard);
    end loop;
end
$$;
