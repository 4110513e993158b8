// What the documentation of the original declares, for the compiler to check the programs of
// docs/guides/cpp.md against. There is nothing behind it.
#pragma once
#include <string>
#include <vector>

namespace vfiipc {

class IPC;
typedef void (*ipcCallback)(void *data, IPC *ipc);

class IPC {
public:
    virtual ~IPC();
    virtual bool eof();
    virtual bool error();
    virtual IPC *accept(int timeout_msec = -1) = 0;
    virtual void close() = 0;
    virtual bool write(const void *data, int size);
    virtual int read(void *data, int maxsize, int timeout_msec, int timeout_msec2);
    virtual int read(void *data, int maxsize, int timeout_msec = -1);
    virtual bool write_msg(unsigned prefix, int msg_id, const void *msg, int size);
    virtual bool write_msg(unsigned prefix, int msg_id, const std::vector<unsigned char> &msg);
    virtual bool write_msg(unsigned prefix, int msg_id, const std::string &msg);
    virtual bool read_msg(unsigned prefix, int &msg_id, std::vector<unsigned char> &msg,
                          int size_limit, int timeout_msec = -1);
    virtual bool read_msg(unsigned prefix, int &msg_id, std::string &msg, int size_limit,
                          int timeout_msec = -1);
    virtual const char *remote_addr() const;
    virtual const char *local_addr() const;
    virtual bool set_callback(ipcCallback cb, void *data = 0);
};

class TCP : public IPC {
public:
    TCP();
    ~TCP();
    bool connect(const char *hostname, unsigned short port, int timeout_msec = -1);
    bool listen(unsigned short port, const char *listen_address = 0);
    virtual IPC *accept(int timeout_msec = -1);
    virtual void close();
};

} // namespace vfiipc
