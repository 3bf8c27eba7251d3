// A Go program that loads a library with a wind-down in it. Its threads run Go code on small stacks when a signal comes.
package main

/*
#include <stdbool.h>
bool wind_down_at_a_signal(void);
*/
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

var numbers = map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "USR1": syscall.SIGUSR1}

// embedding notify|leave TERM|INT|USR1: whether Go is told of the signals, and which one this sends to itself.
func main() {
	number := numbers[os.Args[2]]
	notified := make(chan os.Signal, 1)
	if os.Args[1] == "notify" {
		signal.Notify(notified, number)
	}
	if !C.wind_down_at_a_signal() {
		fmt.Println("not set up")
		os.Exit(99)
	}
	for i := 0; i < 4; i++ {
		go func() {
			for n := 0; ; n++ {
				deep(n % 100)
			}
		}()
	}
	// Without Notify, Go's own handler ends the process.
	syscall.Kill(os.Getpid(), number)
	if os.Args[1] == "notify" {
		fmt.Println("Go:", <-notified)
	}
	time.Sleep(20 * time.Second)
	fmt.Println("nothing happened")
	os.Exit(98)
}

func deep(n int) int {
	if n == 0 {
		return 1
	}
	return deep(n-1) + 1
}
