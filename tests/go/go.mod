module embedding

go 1.19
