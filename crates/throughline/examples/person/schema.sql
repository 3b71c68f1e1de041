-- What the example `person` reads and writes: mariadb --user=… DATABASE < schema.sql
CREATE TABLE person (
    id         BIGINT PRIMARY KEY,
    first_name VARCHAR(100) NOT NULL,
    last_name  VARCHAR(100) NOT NULL
);
INSERT INTO person (id, first_name, last_name) VALUES
    (1, 'Ada', 'Lovelace'), (2, 'Grace', 'Hopper'), (3, 'Edsger', 'Dijkstra');
