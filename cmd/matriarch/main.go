// Command matriarch keeps a PostgreSQL cluster available.
package main

func main() {}
