-- A ledger as it is written first: a row for each transfer, a running balance that may not fall below zero.
create table account (
    id bigint primary key,
    balance numeric(78, 0) not null check (balance >= 0)
);
create table transfer (
    id bigint generated always as identity primary key,
    debited bigint not null references account,
    credited bigint not null references account,
    amount numeric(78, 0) not null check (amount > 0)
);
