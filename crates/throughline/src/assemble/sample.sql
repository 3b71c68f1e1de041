-- The sample database of `throughline serve`.
CREATE TABLE person (
    id         INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name  TEXT NOT NULL
) STRICT;
CREATE TABLE product (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    price REAL NOT NULL,
    stock INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE payment (
    id       INTEGER PRIMARY KEY,
    type     TEXT NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT NOT NULL DEFAULT 'EUR'
) STRICT;
INSERT INTO person (id, first_name, last_name) VALUES
    (1, 'Ada', 'Lovelace'), (2, 'Grace', 'Hopper'), (3, 'Edsger', 'Dijkstra');
INSERT INTO product (id, name, price, stock) VALUES
    (1, 'Lamp', 39.5, 12), (2, 'Desk', 249.0, 3), (3, 'Chair', 119.9, 0);
INSERT INTO payment (id, type, amount, currency) VALUES
    (1, 'PAYMENT', 100, 'EUR')
