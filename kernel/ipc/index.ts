// The door of the folder: importing it adds the file operations of pipes, eventfds, timerfds, signalfds and epoll sets.
import './epoll.ts';
import './eventfd.ts';
import './mqueue.ts';
import './pipe.ts';
import './shared-segments.ts';
import './signalfd.ts';
import './timerfd.ts';
