package main
import "sync"
func main() { println("starting"); var wg sync.WaitGroup; wg.Add(1); go func() { var m sync.Mutex; m.Lock(); m.Lock() }(); wg.Wait() }
