// Package mqtttest gives a test a real broker of its own: the embedded one, or Mosquitto, by parameter. Both listen on a
// free loopback port, keep their store in a folder of the test, and are gone when it ends.
package mqtttest
