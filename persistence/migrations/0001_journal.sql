-- The journal, who may write it, and the query tables written with it in the same transaction.
-- Column order of the query tables = field order of the records in perps/records.py.
-- Every index is paid for on the hot path, so each says which question it answers. Query tables have no primary key
-- where nothing asks by it: the journal's own key already keeps a row from being written twice. Within one market `at`
-- never falls (perps/market.py), so that (at, "offset", n) is the order of ("offset", n): one index serves both.

create table owner (
    shard int primary key,
    epoch bigint not null
);

create table journal (
    shard           int      not null,
    "offset"        bigint   not null,
    epoch           bigint   not null,
    stream          text     not null,
    market_seq      bigint   not null,
    at              bigint   not null,
    kind            text     not null,
    schema_version  smallint not null,
    user_id         text,
    client_order_id text,
    fingerprint     bytea,
    payload         bytea    not null,
    user_balance    bigint,
    hash            bytea    not null,
    constraint journal_offset primary key (shard, "offset"),
    constraint journal_client_order_id unique (user_id, client_order_id),  -- a retry finds its first answer
    constraint journal_stream_sequence unique (shard, stream, market_seq)  -- one market is rebuilt from its rows
);

create table fills (
    "offset"    bigint not null,
    n           int    not null,
    at          bigint not null,
    ticker      text   not null,
    position_id text   not null,
    user_id     text   not null,
    kind        text   not null,
    lots        bigint not null,
    cost        bigint not null,
    quote_after bigint not null,
    index_price bigint not null,
    mark_price  bigint not null,
    pnl         bigint not null,
    funding     bigint not null,
    fee         bigint not null,
    referral    bigint not null,
    bad_debt    bigint not null
);
create index fills_of_user on fills (user_id, "offset", n);                                       -- a user's trades
create index fills_of_market on fills (ticker, at, "offset", n);                                  -- trades, candles
create index fills_liquidations on fills (ticker, at, "offset", n) where kind = 'liquidation';    -- liquidations

create table legs (
    "offset"       bigint not null,
    n              int    not null,
    at             bigint not null,
    kind           text   not null,
    source         text   not null,
    target         text   not null,
    amount         bigint not null,
    source_balance bigint not null,
    target_balance bigint not null,
    position_id    text
);
create index legs_from_wallet on legs (source, "offset", n) where source like 'user:%';           -- a user's
create index legs_to_wallet on legs (target, "offset", n) where target like 'user:%';             -- transactions

create table prices (
    "offset"    bigint not null,
    n           int    not null,
    at          bigint not null,
    ticker      text   not null,
    index_price bigint not null,
    mark_price  bigint not null,
    quote_price bigint not null,
    source      text   not null,
    reason      text,
    sequence    bigint
);
create index prices_of_market on prices (ticker, at, "offset", n);                                -- prices, candles

create table positions (
    id            text primary key,
    user_id       text   not null,
    ticker        text   not null,
    opened_offset bigint not null,
    "offset"      bigint not null,
    status        text   not null,
    opened_at     bigint not null,
    closed_at     bigint,
    lots          bigint not null,
    cash          bigint not null,
    margin        bigint not null,
    leverage      int    not null,
    entry_cost    bigint not null,
    funding_paid  bigint not null,
    entered_lots  bigint not null,
    entered_cost  bigint not null,
    exited_lots   bigint not null,
    exited_cost   bigint not null,
    realized_pnl  bigint not null,
    fees          bigint not null
) with (fillfactor = 85);  -- a change touches no indexed column and stays on its page (a HOT update)
create index positions_of_user on positions (user_id, opened_offset);                             -- a user's positions

create table api_keys (
    key_id     text primary key,
    digest     bytea  not null unique,
    user_id    text,
    scopes     text[] not null,
    label      text   not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);
