-- Generators: who lends computing power to the network, and who owns it.

create schema network;

comment on schema network is 'generators, their owners and their credibility; one database holds one network';

create table network.generator (
    id uuid primary key,
    name text not null,
    owner bytea not null,
    is_participant boolean not null,
    is_validator boolean not null,
    credibility_ppm integer not null,
    registered_at timestamptz not null default now(),
    constraint generator_name_unique unique (name),
    constraint generator_name_form check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    constraint generator_owner_is_address check (octet_length(owner) = 20),
    constraint generator_has_a_role check (is_participant or is_validator),
    constraint generator_credibility_range check (credibility_ppm between 0 and 1000000)
);

comment on table network.generator is 'one row per registered VPU generator';
comment on column network.generator.id is 'set at registration, never changes; derived from the network and the name';
comment on column network.generator.name is 'set at registration, never changes';
comment on column network.generator.owner is 'the EVM address, 20 bytes, to which rewards accrue; set at registration, never changes';
comment on column network.generator.is_participant is 'whether it may train; set at registration, never changes';
comment on column network.generator.is_validator is 'whether it may score updates; set at registration, never changes';
comment on column network.generator.credibility_ppm is 'weight of its votes in millionths; set at registration, a repeated registration leaves it as it is';
comment on column network.generator.registered_at is 'when the row was inserted; never changes';
