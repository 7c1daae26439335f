create type mood as enum ('sad', 'it''s "ok"', 'happy 😀');
create domain cents as numeric(12, 2);
create domain tags as text[];
create type pair as (a int, b text);
create extension citext;

create table "odd schema.x"."my ""types"".1" (
    "the ""id"".x" int primary key,
    flag bool, small int2, medium int4, large int8, object oid, single float4, double float8,
    wide numeric(38, 20), widest numeric(76, 10), whole numeric(38, 0), free numeric, rounded numeric(5, -2), price cents,
    "TEXT" text, short varchar(20), padded char(5), ident name, caseless citext, "mood 😀" mood, id uuid, bytes bytea,
    day date, clock time, at timestamp, instant timestamptz, doc json, docs jsonb,
    ints int[], smalls int2[], larges int8[], texts text[], numerics numeric[], doubles float8[], singles float4[], flags bool[],
    uuids uuid[], moods mood[], tagged tags, documents jsonb[], blobs bytea[], days date[], pair pair, pairs pair[],
    clock_zone timetz, span interval, range int4range, place point, address inet, money money, mark "char", markup xml, bits bit(3),
    made int generated always as (1 + medium % 100) stored
);

insert into "odd schema.x"."my ""types"".1" values
(0);
insert into "odd schema.x"."my ""types"".1" values
(1, true, -32768, -2147483648, -9223372036854775808, 0, 1.17549435e-38, 2.2250738585072014e-308,
    999999999999999999.99999999999999999999,
    999999999999999999999999999999999999999999999999999999999999999999.9999999999,
    99999999999999999999999999999999999999,
    123456789012345678901234567890123456789012345678901234567890.123456789012345678901234567890000, 12345, 0.01,
    E'a "quoted" \\ text,\twith\nlines\r\u0001\u007f', '', 'ab', 'name', 'CiText', 'it''s "ok"',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\x', '0001-01-01', '00:00:00', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00',
    E'{\n  "b": [1.50, 1e400],\r\n "b": "x \\u0000 \\" \\n", "a" : null}', '{"k": [1, 2.50, null, 1e30], "s": "é\"\\"}',
    '{{1,NULL},{-2147483648,4}}', '{1,-1}', '{-9223372036854775808,9223372036854775807}', E'{"a \\"q\\" \\\\ b",NULL,"","😀"}',
    '{1.50,NaN,-0.000000000000000000000000000000000000001}', '{0.1,NaN,-Infinity,1e300}', '{0.1,16777216}', '{t,f,NULL}',
    '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{sad,"it''s \"ok\""}', '{x}', array['{"a": 1.50}'::jsonb, null], array['\x01ff'::bytea],
    '{2024-02-29,infinity}', row(1, 'x"y'), array[row(1, null)::pair],
    '10:00:00.5+02', '1 year 2 days 00:00:03.5', '[1,5)', '(1.5,2)', '10.0.0.1/8', '12.34', 'z', '<a>x</a>', B'101');
insert into "odd schema.x"."my ""types"".1" values
(2, false, 32767, 2147483647, 9223372036854775807, 4294967295, 3.4028235e38, 1.7976931348623157e308,
    -999999999999999999.99999999999999999999,
    -999999999999999999999999999999999999999999999999999999999999999999.9999999999,
    -99999999999999999999999999999999999999, -0.000001, -49, -9999999999.99,
    '😀 Müller', 'twenty characters ab', 'abcde', repeat('n', 63), '', 'happy 😀',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', decode(repeat('00ff', 500), 'hex'), '9999-12-31', '23:59:59.999999',
    '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '"text"', '[]',
    '{}', '[0:1]={1,2}', '{NULL}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', row(null, null), '{}',
    '23:59:59-15:59', '-1 mons', 'empty', '(-1,1e300)', '::1', '-92233720368547758.08', '', 'x', B'000');
insert into "odd schema.x"."my ""types"".1" values
(3, null, 0, 0, 0, 1, 0.1, 0.1, 0, 0, 0, 100, 0, 0,
    repeat('0123456789 äöü', 70000), null, null, null, null, 'sad', null, null,
    '1969-12-31', '12:34:56.1', '1969-12-31 23:59:59.999999', '2024-03-31 01:59:59.5+02', 'null', 'null',
    '{{{1,2}},{{3,4}}}', null, null, '{{a,b}}', '{0,100,0.10}', '{-0}', '{3.4028235e38}', null,
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into "odd schema.x"."my ""types"".1" values
(4, null, null, null, null, null, -0, 123456789.123456789, 0.00000000000000000001, -0.5, 1, 1e20, null, null,
    null, null, null, null, null, null, null, null,
    '2000-01-01', null, '2000-01-01', '2000-01-01', '1.0', '12345678901234567890.000');
