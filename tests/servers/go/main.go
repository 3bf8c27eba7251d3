// A server on net/http with the usual template for SIGTERM. GET /N is answered after N milliseconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	fmt.Printf("http://%s/ is up\n", listener.Addr())

	<-ctx.Done()
	timeout, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(timeout); err != nil {
		log.Fatal(err)
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	millis, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		http.Error(w, "GET /N, with a number of milliseconds", http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(millis) * time.Millisecond)
	fmt.Fprintf(w, "hello, after %d ms\n", millis)
}
